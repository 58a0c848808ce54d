"""Shows what the host says of a request, a variable a line."""

NAMES = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PROTOCOL",
    "GATEWAY_INTERFACE",
    "REMOTE_ADDR",
    "REMOTE_USER",
    "REMOTE_HOST",
    "REQUEST_URI",
    "HTTPS",
    "wsgi.url_scheme",
]


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    lines = [
        f"{name}={environ[name]}\n" if name in environ else f"{name} is absent\n"
        for name in NAMES
    ]
    return ["".join(lines).encode("latin-1")]
