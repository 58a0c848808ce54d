"""`wsgi.input` in the ways that the conformance suite has no word for. S17 to S22."""

import json


def answer(start_response, said):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said, default=bytes.decode).encode()]


def mixed(environ, start_response):
    """Lines and bytes share one position, also where lines were read ahead."""
    body = environ["wsgi.input"]
    parts = [next(body), body.read(2), body.readline(), body.readline(1)]
    parts += [body.readlines(1), body.read(1), next(body), body.read(), body.read(5)]
    parts += [list(body), body.readline(), body.readlines()]
    return answer(start_response, parts)


def sizes(environ, start_response):
    """None and negative sizes are no sizes; what is no number is refused."""
    body = environ["wsgi.input"]
    parts = [body.read(0), body.readline(None), body.readline(-1), body.read(10**30)]
    parts += [body.read(None), body.read(-1)]
    try:
        body.read("1")
    except TypeError:
        parts.append("refused")
    return answer(start_response, parts)


def line(environ, start_response):
    """Answers to the first line while the client has not sent the second."""
    body = iter(environ["wsgi.input"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    for line in body:
        yield line


def rest_of_lines(environ, start_response):
    """Passes on what iteration read ahead, and the rest."""
    body = environ["wsgi.input"]
    next(body)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](body, 3)


def large(environ, start_response):
    """Counts a body in pieces that fit no buffer."""
    body, count, sizes = environ["wsgi.input"], 0, set()
    while block := body.read(70_001):
        count += len(block)
        sizes.add(len(block))
    return answer(start_response, [count, sorted(sizes)])


def error(environ, start_response):
    """Names the error by which the body ended."""
    try:
        length = len(environ["wsgi.input"].read())
    except OSError as error:
        kind = type(error).__name__
        print(f"read failed: {kind}: {error.strerror}", file=environ["wsgi.errors"])
        return answer(start_response, kind)
    return answer(start_response, length)


def no_more_methods(environ, start_response):
    """PEP 3333 has no more, and who asks for more should hear of it."""
    names = ["close", "seek", "tell", "fileno", "name"]
    body, errors = environ["wsgi.input"], environ["wsgi.errors"]
    found = [name for name in names if hasattr(body, name) or hasattr(errors, name)]
    return answer(start_response, found)
