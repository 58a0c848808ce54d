"""Sends headers of one name several times, in upper and lower case."""


def app(environ, start_response):
    headers = [
        ("Set-Cookie", "a=1; Path=/"),
        ("Link", "</1>"),
        ("set-cookie", "b=2, 3"),
        ("Link", "</2>"),
        ("SET-COOKIE", "a=4"),
    ]
    start_response("200 OK", headers)
    return [b"ok\n"]
