"""Calls `start_response` only when the server asks for the first block."""


def app(environ, start_response):
    start_response("201 Created", [("X-Late", "yes")])
    yield b"late\n"
