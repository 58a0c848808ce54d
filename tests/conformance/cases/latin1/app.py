"""Returns the bytes of its path, and a header as it came."""


def app(environ, start_response):
    path = environ["PATH_INFO"]
    word = environ.get("HTTP_X_WORD", "")
    start_response("200 OK", [("X-Word", word), ("X-Characters", str(len(path)))])
    return [path.encode("latin-1")]
