"""Announces ten bytes and gives five, or none."""


class Blocks:
    def __init__(self, blocks, errors):
        self.blocks = iter(blocks)
        self.errors = errors

    def __iter__(self):
        return self.blocks

    def close(self):
        print("closed", file=self.errors)


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    blocks = [] if environ["PATH_INFO"] == "/nothing" else [b"123", b"45"]
    return Blocks(blocks, environ["wsgi.errors"])
