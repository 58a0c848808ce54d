"""Returns the body of the request as its own, without looking at it."""


def app(environ, start_response):
    content_type = environ.get("CONTENT_TYPE", "text/plain")
    body = environ["wsgi.input"]
    if environ["PATH_INFO"] == "/rest":
        body.read(4)
    start_response("200 OK", [("Content-Type", content_type)])
    return environ["wsgi.file_wrapper"](body)
