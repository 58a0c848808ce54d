"""Gives `start_response` a character that stands for no byte."""

import sys


def app(environ, start_response):
    try:
        match environ["PATH_INFO"]:
            case "/status":
                start_response("200 \u20ac", [])
            case "/name":
                start_response("200 OK", [("X-\u20ac", "1")])
            case _:
                start_response("200 OK", [("X-Euro", "\u20ac")])
    except ValueError:
        start_response("400 Refused", [], sys.exc_info())
        return [b"refused\n"]
    return [b"accepted\n"]
