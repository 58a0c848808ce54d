"""`wsgi.input`: the body of the request. It ends by itself, so that reading to the end is safe."""

import errno
from operator import index

from componentize_py_types import Err
from wit_world.imports import types

# What an iteration asks for at a time. It takes what has arrived: a client that sends a line and
# waits for an answer to it must not wait for a whole buffer.
_BATCH = 64 * 1024

# The host counts in 64 bits, and no more than this fits into the memory.
_LARGEST = 0xFFFF_FFFF

_ERRORS = {
    types.IoError_Disconnected: ConnectionResetError(errno.ECONNRESET, "the client went away"),
    types.IoError_TimedOut: TimeoutError(errno.ETIMEDOUT, "the client sent nothing for too long"),
    types.IoError_TooLarge: OSError(errno.EFBIG, "the body is larger than the server allows"),
    types.IoError_Malformed: OSError(errno.EPROTO, "the transfer coding of the body is broken"),
}


class Input:
    """The stream. All methods share one position."""

    def __init__(self, open_stream):
        self._open_stream = open_stream
        self._stream = None
        # What was read ahead, and how far it was given out.
        self._ahead = b""
        self._at = 0

    def read(self, size=-1, /):
        """Exactly as many bytes unless the body ends; all of them without a size."""
        size = _size(size)
        ahead = self._take(size)
        if size is None:
            return ahead + self._call("read", None)
        if len(ahead) == size:
            return ahead
        return ahead + self._call("read", min(size - len(ahead), _LARGEST))

    def readline(self, size=-1, /):
        """A line with its end, or as much of it as the size allows."""
        size = _size(size)
        end = self._ahead.find(b"\n", self._at) + 1
        if end:
            length = end - self._at
            return self._take(length if size is None else min(size, length))
        ahead = self._take(size)
        if size is None:
            return ahead + self._call("read_line", None)
        if len(ahead) == size:
            return ahead
        return ahead + self._call("read_line", min(size - len(ahead), _LARGEST))

    def readlines(self, hint=-1, /):
        """All lines, or with a hint those that have as many bytes together."""
        hint = _size(hint)
        lines, total = [], 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint and total >= hint:
                break
        return lines

    def __iter__(self):
        return self

    def __next__(self):
        parts = []
        while True:
            end = self._ahead.find(b"\n", self._at) + 1
            if end:
                parts.append(self._take(end - self._at))
                break
            parts.append(self._take(None))
            self._ahead = self._call("read_some", _BATCH)
            if not self._ahead:
                break
        line = b"".join(parts)
        if not line:
            raise StopIteration
        return line

    def read_ahead(self):
        """Whether some of the body is here, and not at the host any more."""
        return self._at < len(self._ahead)

    def _take(self, size):
        end = len(self._ahead) if size is None else self._at + size
        taken = self._ahead[self._at : end]
        self._at += len(taken)
        if self._at == len(self._ahead):
            self._ahead, self._at = b"", 0
        return taken

    def _call(self, method, argument):
        if self._stream is None:
            self._stream = self._open_stream()
        try:
            return getattr(self._stream, method)(argument)
        except Err as error:
            reason = error.value
        raise exception_of(reason)


def exception_of(reason):
    """An error of the client as an OSError, so that it is not taken for a short body."""
    known = _ERRORS.get(type(reason))
    if known is None:
        return OSError(errno.EIO, reason.value)
    return type(known)(*known.args)


def _size(size):
    if size is None:
        return None
    size = index(size)
    return None if size < 0 else size
