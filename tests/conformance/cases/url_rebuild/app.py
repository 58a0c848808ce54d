"""Rebuilds the URL of the request by the algorithm of PEP 3333."""

from wsgiref.util import request_uri


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [request_uri(environ).encode("latin-1")]
