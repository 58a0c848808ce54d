"""Returns its query string."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"[{environ['QUERY_STRING']}]".encode("latin-1")]
