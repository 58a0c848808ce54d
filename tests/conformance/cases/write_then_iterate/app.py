"""Writes a block, then returns more. To write from inside of the iterable is refused."""


def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written\n")
    if environ["PATH_INFO"] == "/bytes":
        return [b"returned\n"]
    return blocks(write)


def blocks(write):
    yield b"iterated\n"
    try:
        write(b"out of turn\n")
    except AssertionError:
        yield b"refused\n"
    else:
        yield b"accepted\n"
