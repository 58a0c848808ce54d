"""Pushes its body by the callable that `start_response` returns."""


def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one\n")
    write(b"two\n")
    return []
