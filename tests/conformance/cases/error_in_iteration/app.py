"""Raises an error after so many blocks as the path says."""


def app(environ, start_response):
    count = int(environ["PATH_INFO"][1:])
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "1")])
    return blocks(count, environ["wsgi.errors"])


def blocks(count, errors):
    try:
        for _ in range(count):
            yield b"block\n"
        raise LookupError("a secret went missing")
    finally:
        print("closed", file=errors)
