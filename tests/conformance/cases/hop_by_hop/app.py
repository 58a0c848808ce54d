"""Sets a header that the path names, and says if it was refused."""

import sys


def app(environ, start_response):
    try:
        start_response("200 OK", [(environ["PATH_INFO"][1:], "close")])
    except AssertionError:
        start_response("400 Refused", [], sys.exc_info())
        return [b"refused\n"]
    return [b"accepted\n"]
