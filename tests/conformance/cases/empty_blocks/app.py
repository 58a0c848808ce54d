"""Gives empty blocks before, between and after the others."""

import sys


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/replaced":
        return replaced(start_response)
    return iter([b"", b"", b"one\n", b"", b"two\n", b""])


def replaced(start_response):
    yield b""
    try:
        raise LookupError("failed after nothing")
    except LookupError:
        start_response("500 Oops", [], sys.exc_info())
    yield b"sorry\n"
