"""Reads the request's body by sizes, then the rest, then past its end."""


def app(environ, start_response):
    body = environ["wsgi.input"]
    parts = [
        body.read(3),
        body.read(0),
        body.read(1),
        body.read(),
        body.read(),
        body.read(1),
    ]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"".join(b"[%b]" % part for part in parts)]
