"""Announces five bytes and gives nine."""


def app(environ, start_response):
    errors = environ["wsgi.errors"]
    write = start_response("200 OK", [("Content-Length", "5")])
    if environ["PATH_INFO"] == "/write":
        write(b"123")
        try:
            write(b"4567")
        except AssertionError:
            print("refused", file=errors)
        return [b"45"]
    return blocks(errors)


def blocks(errors):
    try:
        for block in [b"123", b"4567", b"89"]:
            print("gives", block.decode(), file=errors)
            yield block
    finally:
        print("closed", file=errors)
