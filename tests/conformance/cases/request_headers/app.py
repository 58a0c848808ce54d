"""Shows the headers of the request as they arrive: the variables `HTTP_...`, sorted."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    lines = [f"{name}={value}\n" for name, value in environ.items() if name.startswith("HTTP_")]
    return ["".join(sorted(lines)).encode("latin-1")]
