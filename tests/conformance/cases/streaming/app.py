"""Gives its body in three blocks."""


def app(environ, start_response):
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/length":
        headers.append(("Content-Length", "15"))
    start_response("200 OK", headers)
    return iter([b"one\r\n", b"two\n", b"\0three"])
