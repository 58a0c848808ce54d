"""Reads the lines of the request's body as lists, until there are none."""


def app(environ, start_response):
    hint = [5] if environ["PATH_INFO"] == "/hint" else []
    body = environ["wsgi.input"]
    parts = []
    while lines := body.readlines(*hint):
        parts.extend(b"[%b]" % line for line in lines)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"".join(parts)]
