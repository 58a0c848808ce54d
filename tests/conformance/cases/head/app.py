"""Answers HEAD as it answers GET: the body is the server's to leave out."""


def app(environ, start_response):
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "text/plain")]
    if path == "/length":
        headers.append(("Content-Length", "12"))
    start_response("200 OK", headers)
    match path:
        case "/bytes":
            return [b"bytes\n"]
        case "/empty":
            return []
        case _:
            return Blocks(environ["wsgi.errors"])


class Blocks:
    def __init__(self, errors):
        self.errors = errors

    def __iter__(self):
        return iter([b"first\n", b"second"])

    def close(self):
        print("closed", file=self.errors)
