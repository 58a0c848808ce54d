"""Warm-up: requests that the application answers at the build.

Imports that a view puts off, templates, routes, caches of classes, and what CPython's interpreter learns of
the code that runs: all of it is then in the memory that each instance begins with. So is everything
else that the application changed meanwhile. The first answer to each path is kept, for the build to compare
with what instances answer.

The requests go through `Server` as those of the host do. In the place of the host there is `stage`.
"""

import contextlib
import io
import time
from itertools import islice

from componentize_py_types import Err

from _wasm_gw import letterbox, output, snapshot, stage

# Two do most of it: of 10.0 ms for a route of Flask 6.7 remain after two and after six, and 6.5 after sixteen. Forty
# touched no fewer pages of memory.
ROUNDS = 16

# So much of a body is kept, and a response with more than the second has no end that we would wait for.
_KEPT = 1024 * 1024
_MOST = 16 * 1024 * 1024


class NoWarmUp(Exception):
    """Ends the build. The reason lies in the letterbox."""


def up(server, requests, file):
    """Lets the server answer each of these pairs of path and variables, often. What is printed at the first
    time goes to the file; it would be the same again and again."""
    if not requests:
        return
    with stage.instead_of_host(), _temporary_folder():
        answers = [_answer(server, path, variables, file) for path, variables in requests]
        for _ in range(ROUNDS - 1):
            for path, variables in requests:
                _answer(server, path, variables, io.BytesIO())
    snapshot.forget()
    letterbox.report_warmed(answers)


def _answer(server, path, variables, file):
    """One request, from its variables to the end of its body."""
    said = _Said(file)
    at = time.time()
    start = stage.StartResponse()
    with output.diverted_to(said):
        try:
            returned = server.app(stage.Environ(variables), start)
            body = stage.whole(returned, start, _MOST)
            output.flush()
        except Err as error:
            _fail(path, error.value.traceback)
        except stage.Refused as reason:
            _fail(path, f"{reason}\n")
    if start.status >= "500":
        _fail(path, _failed_answer(start.status, said.end(), body))
    return {
        "path": path,
        "at": at,
        "status": start.status,
        "headers": start.headers,
        "body": body[:_KEPT].decode("latin-1"),
    }


@contextlib.contextmanager
def _temporary_folder():
    """There is no /tmp at the build. `tempfile` would look for another folder, find that of the project's copy,
    and remember it."""
    import tempfile

    before = tempfile.tempdir
    if before is None:
        tempfile.tempdir = letterbox.temporary_folder()
    try:
        yield
    finally:
        tempfile.tempdir = before


class _Said:
    """What a request prints, on its way to a file. The end is kept."""

    def __init__(self, file):
        self._file = file
        self._end = b""

    def write(self, data):
        data = bytes(data)
        self._end = (self._end + data)[-16_384:]
        self._file.write(data)
        return len(data)

    def end(self):
        return self._end.decode("utf-8", "replace")


def _failed_answer(status, said, body):
    """A framework has caught the exception, and has told its log about it."""
    parts = [f"it answered {status}\n"]
    if said:
        parts.append(f"and wrote:\n{said.rstrip()}\n")
    lines = body[:4096].decode("utf-8", "replace").splitlines()
    shown = list(islice(filter(str.strip, lines), 10))
    if shown:
        parts.append("with this body:\n" + "".join(f"  {line}\n" for line in shown))
    return "".join(parts)


def _fail(path, text):
    letterbox.report_warm_failure(path, text)
    raise NoWarmUp("see warm-failure.txt") from None
