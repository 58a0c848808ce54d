"""Takes a header from the path, `/NAME=VALUE`, and says if it was refused."""

import sys


def app(environ, start_response):
    name, _, value = environ["PATH_INFO"][1:].partition("=")
    try:
        start_response("200 OK", [(name, value)])
    except ValueError:
        start_response("400 Refused", [], sys.exc_info())
        return [b"refused\n"]
    return [b"accepted\n"]
