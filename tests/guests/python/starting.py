"""`start_response`, called by those who are wrong about its types. S25 to S33."""

import sys


def kinds(environ, start_response):
    """Each of them is told by an exception, and the instance lives on."""
    wrong = [
        (b"200 OK", []),
        ("200 OK", ()),
        ("200 OK", {}),
        ("200 OK", [["X-A", "1"]]),
        ("200 OK", [("X-A", "1", "2")]),
        ("200 OK", [("X-A", 1)]),
        ("200 OK", [(b"X-A", "1")]),
        ("200 OK", [("X-A", None)]),
        ("200 OK", [], "error"),
    ]
    refused = 0
    for arguments in wrong:
        try:
            start_response(*arguments)
        except TypeError:
            refused += 1
    # What sys.exc_info() returns where nothing was raised is no exception.
    headers = [("X-Refused", f"{refused} of {len(wrong)}")]
    start_response("200 OK", headers, (None, None, None))
    return [b"ok"]


def surrogates(environ, start_response):
    """Half a character is none of latin-1."""
    try:
        start_response("200 \udc80", [("X-A", "\udc80")])
    except ValueError as error:
        start_response("200 OK", [], exc_info=sys.exc_info())
        return [type(error).__name__.encode()]
    return [b"accepted"]


def raises_the_same(environ, start_response):
    """After the headers were sent, the very exception comes back, with where it came from."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"sent\n")
    error = LookupError("too late")
    try:
        deep(error)
    except LookupError:
        try:
            start_response("500 Oops", [], sys.exc_info())
        except LookupError as again:
            frames, here = [], again.__traceback__
            while here is not None:
                frames.append(here.tb_frame.f_code.co_name)
                here = here.tb_next
            same = again is error and "deep" in frames and again.__context__ is None
            print("the same" if same else f"another: {frames}", file=environ["wsgi.errors"])
            raise


def deep(error):
    raise error


def safe_strings(environ, start_response):
    """Subclasses of str and tuple are as good: frameworks have theirs."""

    class Safe(str):
        pass

    start_response(Safe("200 OK"), [(Safe("X-Safe"), Safe("yes"))])
    return [b"ok"]
