"""Reads a body to its end, whether its length is known or not."""


def app(environ, start_response):
    length = environ.get("CONTENT_LENGTH")
    known = "no length: " if length is None else f"{length} bytes: "
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [known.encode() + body]
