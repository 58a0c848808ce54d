"""A response without a body, said in three ways."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    match environ["PATH_INFO"]:
        case "/bytes":
            return [b""]
        case "/iterable":
            return iter([])
        case _:
            return []
