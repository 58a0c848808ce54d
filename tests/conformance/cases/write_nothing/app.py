"""Writes an empty block and then tries to change its mind."""

import sys


def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"")
    try:
        raise LookupError("too late")
    except LookupError:
        start_response("500 Oops", [], sys.exc_info())
    return [b"unseen\n"]
