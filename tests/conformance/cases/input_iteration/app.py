"""Reads one line, then iterates over the rest of the request's body."""


def app(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.readline()]
    for line in body:
        parts.append(b"[%b]" % line)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"".join(parts)]
