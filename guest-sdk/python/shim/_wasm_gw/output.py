"""`sys.stdout` and `sys.stderr`: lines to the log at run time, to a file of the build before.

The objects are the same all the time: what took hold of one at import, as a handler of `logging`
does, still has the right one in each instance. `wsgi.errors` is elsewhere.
"""

import contextlib
import io
import os
import sys


class Output(io.RawIOBase):
    """A standard stream of the component, or a file in its place."""

    def __init__(self, number, mode_name):
        self.name = mode_name
        self.mode = "wb"
        self.file = None
        self._number = number

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def write(self, data):
        if self.file is not None:
            return self.file.write(data)
        return os.write(self._number, data)


def replace_streams():
    """Those of CPython write each part of a line by itself, as they were told not to buffer."""
    sys.stdout = sys.__stdout__ = _text(1, "<stdout>", "surrogateescape")
    sys.stderr = sys.__stderr__ = _text(2, "<stderr>", "backslashreplace")


def _text(number, name, errors):
    raw = Output(number, name)
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=True)


@contextlib.contextmanager
def diverted_to(file):
    """Both streams write to this file; what is half a line must not be left to the instances."""
    outputs = [sys.__stdout__.buffer, sys.__stderr__.buffer]
    for output in outputs:
        output.file = file
    try:
        yield
    finally:
        flush()
        for output in outputs:
            output.file = None


def flush():
    """At the end of a request, and of the build. What an application put in their place, too."""
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        # It may be None, or closed by now: no reason to fail.
        with contextlib.suppress(Exception):
            stream.flush()
