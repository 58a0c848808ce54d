"""What an application may return, and what it may not. S40 to S43, S59."""

import io


def ok(start_response, *headers):
    return start_response("200 OK", [("Content-Type", "text/plain"), *headers])


def generator(environ, start_response):
    """Nothing of it runs before the first block is asked for."""
    print("started", file=environ["wsgi.errors"])
    ok(start_response)
    yield b"one"
    yield b"two"


def several(environ, start_response):
    """A list is there as a whole: its length is known."""
    ok(start_response)
    return [b"one", b"", b"two"]


def pair(environ, start_response):
    ok(start_response)
    return (b"one", b"two")


class Closing(list):
    """A list that wants to be closed is none that can be taken as a whole."""

    def __init__(self, blocks, errors):
        super().__init__(blocks)
        self.errors = errors

    def close(self):
        print("closed", file=self.errors)


def closing_list(environ, start_response):
    ok(start_response)
    return Closing([b"one", b"two"], environ["wsgi.errors"])


def fails(environ, start_response):
    """It is closed once, and its first block was sent."""

    class Blocks:
        def __iter__(self):
            yield b"one"
            raise LookupError("in the middle")

        def close(self):
            print("closed", file=environ["wsgi.errors"])

    ok(start_response)
    return Blocks()


def huge(environ, start_response):
    """Blocks larger than the host takes at once."""
    ok(start_response)
    return [b"x" * (20 << 20)]


def huge_block(environ, start_response):
    ok(start_response)
    return iter([b"x" * (17 << 20), b"y"])


def huge_write(environ, start_response):
    ok(start_response)(b"x" * (17 << 20))
    return []


def text(environ, start_response):
    ok(start_response)
    return "text"


def plain_bytes(environ, start_response):
    ok(start_response)
    return b"bytes"


def none(environ, start_response):
    ok(start_response)


def number(environ, start_response):
    ok(start_response)
    return 5


def text_block(environ, start_response):
    ok(start_response)
    return ["text"]


def late_text_block(environ, start_response):
    ok(start_response)
    return iter([b"one", "text"])


def text_write(environ, start_response):
    ok(start_response)("text")
    return []


def leaves(environ, start_response):
    raise SystemExit("left")


def interrupted(environ, start_response):
    ok(start_response)
    yield b"one"
    raise KeyboardInterrupt


def silent(environ, start_response):
    """An exception that cannot even be printed."""

    class Silent(Exception):
        def __str__(self):
            raise ValueError("no text")

    raise Silent


def surrogate(environ, start_response):
    """Half a character, as names of files have it, is logged and does no harm."""
    environ["wsgi.errors"].write("half \udc80\n")
    print("out \udc80")
    raise LookupError("half \udc80 again")


def file(environ, start_response):
    """A file of any kind, from where it stands, closed at the end."""

    class File(io.BytesIO):
        def close(self):
            print("closed", file=environ["wsgi.errors"])
            super().close()

    body = File(b"0123456789")
    body.seek(3)
    ok(start_response)
    return environ["wsgi.file_wrapper"](body, 4)


def only_read(environ, start_response):
    """A file-like object needs no more than `read`."""

    class Reader:
        left = [b"", b"two", b"one"]

        def read(self, size):
            return self.left.pop()

    ok(start_response)
    return environ["wsgi.file_wrapper"](Reader())


def chained(environ, start_response):
    """Its log has both exceptions, and nothing of the server's."""
    try:
        raise LookupError("the cause")
    except LookupError as error:
        raise ValueError("the effect") from error
