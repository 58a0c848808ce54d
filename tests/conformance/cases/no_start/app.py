"""Returns a body and never calls `start_response`."""


def app(environ, start_response):
    match environ["PATH_INFO"]:
        case "/bytes":
            return [b"unseen\n"]
        case "/iterable":
            return iter([b"unseen\n"])
        case _:
            return []
