"""A bad first call, a good second one without an error, a third one with it."""

import sys


def app(environ, start_response):
    report = []
    try:
        start_response("200 OK", [("Bad Name", "1")])
    except ValueError:
        report.append(b"first refused\n")
        try:
            start_response("200 OK", [])
        except AssertionError:
            report.append(b"second refused\n")
        start_response("500 Oops", [("X-Call", "third")], sys.exc_info())
        return report
    return [b"first accepted\n"]
