"""`start_response` and the `write` that it returns. What may be said is the host's to check."""

import errno

from componentize_py_types import Err
from wit_world.imports import types

from _wasm_gw import failure
from _wasm_gw.block import check, parts_of
from _wasm_gw.text import native


class StartResponse:
    """The callable."""

    def __init__(self, start):
        self._start = start

    def __call__(self, status, headers, exc_info=None):
        try:
            error = _error_of(exc_info)
            writer, refused = self._ask(status, headers, error)
            if writer is not None:
                return Write(writer.write)
            if isinstance(refused, types.StartError_HeadersSent):
                raise error.with_traceback(exc_info[2])
            raise _exception_of(refused)
        finally:
            # It holds this frame, and would keep it alive until the collector comes.
            exc_info = error = None

    def _ask(self, status, headers, error):
        _check_types(status, headers)
        pairs = [(native(name), native(value)) for name, value in headers]
        said = None if error is None else failure.record(error)
        try:
            return self._start(native(status), pairs, said), None
        except Err as refused:
            # Raised from here, the application's exception would seem to come from this one.
            return None, refused.value


class Write:
    """The callable for applications that push their body."""

    def __init__(self, write):
        self._write = write

    def __call__(self, block, /):
        check(block)
        for part in parts_of(block):
            self._write_part(part)

    def _write_part(self, part):
        try:
            self._write(part)
            return
        except Err as error:
            reason = error.value
        raise _write_exception_of(reason)


def _error_of(exc_info):
    # The latter is what sys.exc_info() returns where nothing was raised.
    if exc_info is None or exc_info == (None, None, None):
        return None
    if not (isinstance(exc_info, tuple) and len(exc_info) == 3):
        raise TypeError("exc_info must be what sys.exc_info() returns")
    error = exc_info[1]
    if not isinstance(error, BaseException):
        raise TypeError("exc_info has no exception: call start_response where it is handled")
    return error


def _check_types(status, headers):
    if not isinstance(status, str):
        raise TypeError(f"the status must be a str, not {type(status).__name__}")
    if not isinstance(headers, list):
        raise TypeError(f"the headers must be a list, not {type(headers).__name__}")
    for header in headers:
        if not (isinstance(header, tuple) and len(header) == 2):
            raise TypeError(f"a header must be a tuple of name and value, not {header!r}")
        for part in header:
            if not isinstance(part, str):
                raise TypeError(f"name and value of a header must be str: {header!r}")


def _exception_of(refused):
    match refused:
        case types.StartError_AlreadyStarted():
            return AssertionError("start_response was called a second time without exc_info")
        case types.StartError_HopByHop(name):
            return AssertionError(f"{name} is about the connection, and so the server's to send")
        case types.StartError_BadStatus(status):
            return ValueError(f"not a status: {status}")
        case types.StartError_BadHeaderName(name):
            return ValueError(f"not a name of a header: {name}")
        case types.StartError_BadHeaderValue(name):
            return ValueError(f"a control character in the value of the header {name}")
        case types.StartError_NotLatin1(what):
            return ValueError(f"a character that is none of latin-1: {what}")
        case types.StartError_BadContentLength(value):
            return ValueError(f"not a Content-Length: {value}")
        case types.StartError_TooLarge():
            return ValueError("more headers than the server sends")
        case _:
            return ConnectionResetError(errno.ECONNRESET, "the client went away")


def _write_exception_of(reason):
    match reason:
        case types.WriteError_Disconnected():
            return BrokenPipeError(errno.EPIPE, "the client went away")
        case types.WriteError_ContentLengthExceeded():
            return AssertionError("more was written than the Content-Length says")
        case types.WriteError_BodyStarted():
            return AssertionError("write was called after the application had returned its body")
        case types.WriteError_Aborted():
            return BrokenPipeError(errno.EPIPE, "the response was broken off")
        case _:
            return OSError(errno.EIO, reason.value)
