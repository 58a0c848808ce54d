"""Answers 304, with the length of what was not modified."""


def app(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"'), ("Content-Length", "1000")])
    return iter([b"unseen"]) if environ["PATH_INFO"] == "/body" else []
