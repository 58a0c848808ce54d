"""Two mebibytes, in 32 blocks or in one."""

from itertools import repeat


def app(environ, start_response):
    block = b"0123456789abcdef" * 4096
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    match environ["PATH_INFO"]:
        case "/blocks":
            return repeat(block, 32)
        case "/write":
            for _ in range(32):
                write(block)
            return []
        case _:
            return [block * 32]
