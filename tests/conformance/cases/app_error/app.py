"""Raises an error instead of answering, before or after `start_response`."""


def app(environ, start_response):
    if environ["PATH_INFO"] == "/started":
        start_response("200 OK", [("X-App", "1")])
    raise LookupError("a secret went missing")
