"""Fails after its first block and calls `start_response` with the error."""

import sys


class Blocks:
    def __init__(self, errors, start_response):
        self.errors = errors
        self.start_response = start_response

    def __iter__(self):
        yield b"first\n"
        error = LookupError("broke in the middle")
        try:
            raise error
        except LookupError:
            try:
                self.start_response("500 Oops", [], sys.exc_info())
            except LookupError as again:
                if again is error:
                    print("raised again", file=self.errors)
                raise
        yield b"sorry\n"

    def close(self):
        print("closed", file=self.errors)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks(environ["wsgi.errors"], start_response)
