"""A WSGI function, without any package."""

HELLO = b"hello, world!\n"


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/":
        return answer(start_response, "200 OK", HELLO)
    if path.startswith("/cold/"):
        return cold(start_response, path.removeprefix("/cold/"))
    return answer(start_response, "404 Not Found", b"there is no such page\n")


def cold(start_response, name):
    """As much work as for hello, by code that nothing has run before."""
    body = "hello, {}!\n".format(name).encode("utf-8")
    return answer(start_response, "200 OK", body)


def answer(start_response, status, body):
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
