"""The host's side of the interface, as far as a GET request without a body sees it: for requests at the build,
where there is no host.

It does not check what is said, as the host does: a name of a header that is none is refused in an instance.
"""

import contextlib
import sys

from componentize_py_types import Err
from wit_world.exports.app import Body_Bytes, Body_Empty, Body_Iter
from wit_world.imports import types
from wit_world.imports.types import RunFlags

from _wasm_gw import body

# Those of `wasm-gw serve`.
_FLAGS = RunFlags.MULTIPROCESS | RunFlags.RUN_ONCE | RunFlags.INPUT_TERMINATED


class Refused(Exception):
    """The host would make an error page of such a response."""


class Environ:
    """The resource `environ`."""

    def __init__(self, variables):
        self._variables = [tuple(pair) for pair in variables]

    def vars(self):
        return self._variables

    def run_flags(self):
        return _FLAGS

    def input(self):
        return _Nothing()

    def errors(self):
        return _Errors()


class StartResponse:
    """The resource `start-response`, and the writer that it returns."""

    def __init__(self):
        self.status = None
        self.headers = []
        self.written = []
        self.is_sent = False

    def start(self, status, headers, error):
        if self.status is not None and error is None:
            raise Err(types.StartError_AlreadyStarted())
        if self.is_sent:
            raise Err(types.StartError_HeadersSent())
        self.status, self.headers = status, headers
        return self

    def write(self, block):
        self.written.append(block)
        self.is_sent = self.is_sent or bool(block)


def whole(returned, start, most):
    """The bytes of a response, whose application has returned this; not more than so many, or a block more."""
    parts = start.written
    try:
        size = sum(map(len, parts))
        if type(returned) is Body_Iter:
            while size <= most and (block := returned.value.next()) is not None:
                start.is_sent = start.is_sent or bool(block)
                parts.append(block)
                size += len(block)
        elif type(returned) is Body_Bytes:
            parts.append(returned.value)
        elif type(returned) is not Body_Empty:
            parts.append(b"")
    finally:
        if type(returned) is Body_Iter:
            returned.value.close()
    if start.status is None:
        raise Refused("the application has not called start_response")
    if size > most:
        raise Refused(f"the answer has more than {most >> 20} MiB, or no end: leave this path out")
    return b"".join(parts)


@contextlib.contextmanager
def instead_of_host():
    """A body that the host passes through is asked for by a function, and not by what we are given."""
    real = body.HostBody
    body.HostBody = _HostBody
    try:
        yield
    finally:
        body.HostBody = real


class _HostBody:
    @classmethod
    def of_input(cls, stream):
        return cls()


class _Nothing:
    """The resource `input` of a request without a body."""

    def read(self, size):
        return b""

    read_some = read_line = read

    def read_lines(self, hint):
        return []


class _Errors:
    """The resource `errors`: it is the log, where the streams of the component end too."""

    def write(self, text):
        sys.__stderr__.write(text)

    def flush(self):
        sys.__stderr__.flush()
