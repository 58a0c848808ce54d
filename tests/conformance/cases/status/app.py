"""Takes its status from the path, and says if it was refused."""

import sys


def app(environ, start_response):
    try:
        start_response(environ["PATH_INFO"][1:], [])
    except ValueError:
        start_response("400 Refused", [], sys.exc_info())
        return [b"refused\n"]
    return [b"accepted\n"]
