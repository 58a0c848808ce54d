"""Logs each block that it is asked for, and `close`."""


class Blocks:
    def __init__(self, path, errors):
        self.path = path
        self.errors = errors
        self.left = [] if path == "/none" else ["two", "one"]

    def __iter__(self):
        return self

    def __next__(self):
        if self.left:
            block = self.left.pop()
            print(block, file=self.errors)
            return f"{block}\n".encode()
        if self.path == "/error":
            print("error", file=self.errors)
            raise LookupError("no more")
        print("end", file=self.errors)
        raise StopIteration

    def close(self):
        print("closed", file=self.errors)
        if self.path == "/bad-close":
            raise OSError("cannot close")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks(environ["PATH_INFO"], environ["wsgi.errors"])
