"""Takes its Content-Length from the path, several with `;` between them."""

import sys


def app(environ, start_response):
    lengths = environ["PATH_INFO"][1:].split(";")
    try:
        start_response("200 OK", [("Content-Length", length) for length in lengths])
    except ValueError:
        start_response("400 Refused", [], sys.exc_info())
        return [b"refused\n"]
    return [b"12345"]
