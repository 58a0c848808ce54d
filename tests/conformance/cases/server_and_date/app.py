"""Leaves `Server` and `Date` to the host, or brings its own."""


def app(environ, start_response):
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/own":
        headers.append(("Server", "the-app"))
        headers.append(("Date", "Thu, 01 Jan 1970 00:00:00 GMT"))
    start_response("200 OK", headers)
    return [b"ok\n"]
