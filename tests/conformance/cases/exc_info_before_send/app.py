"""Starts well, fails before anything is sent, and answers with an error page of its own."""

import sys


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-First", "1")])
    try:
        return [work()]
    except LookupError:
        start_response("503 Try Later", [("Content-Type", "text/html")], sys.exc_info())
        return [b"sorry\n"]


def work():
    raise LookupError("the database is away")
