"""Calls `start_response` a second time without an error."""


def app(environ, start_response):
    start_response("200 OK", [("X-Call", "first")])
    if environ["PATH_INFO"] == "/caught":
        try:
            start_response("201 Created", [("X-Call", "second")])
        except AssertionError:
            return [b"refused\n"]
        return [b"accepted\n"]
    start_response("201 Created", [("X-Call", "second")])
    return [b"unseen\n"]
