"""Reads the request's body line by line, with sizes and without."""


def app(environ, start_response):
    body = environ["wsgi.input"]
    lines = [
        body.readline(),
        body.readline(2),
        body.readline(100),
        body.readline(0),
        body.readline(),
        body.readline(),
        body.readline(),
        body.readline(),
    ]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"".join(b"[%b]" % line for line in lines)]
