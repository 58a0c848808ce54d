"""Says that there is no content, and sends some."""


class Blocks:
    def __init__(self, errors):
        self.errors = errors

    def __iter__(self):
        return iter([b"unseen"])

    def close(self):
        print("closed", file=self.errors)


def app(environ, start_response):
    start_response("204 No Content", [("Content-Length", "5")])
    return Blocks(environ["wsgi.errors"])
