"""Applications inside of the standard library's own checker, which complains by AssertionError."""

from wsgiref.util import FileWrapper
from wsgiref.validate import validator


@validator
def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]


@validator
def echo(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.read(1), body.readline(), *body.readlines(2), *body, body.read(10)]
    environ["wsgi.errors"].write("echo\n")
    environ["wsgi.errors"].writelines(["two ", "parts\n"])
    environ["wsgi.errors"].flush()
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"".join(parts))
    return [b"."]


@validator
def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])

    def blocks():
        yield b"one\n"
        yield b""
        yield b"two\n"

    return blocks()


@validator
def wrapped(environ, start_response):
    import io

    start_response("200 OK", [("Content-Type", "text/plain")])
    return FileWrapper(io.BytesIO(b"0123456789"), 4)
