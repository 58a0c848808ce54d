"""Tracebacks as their readers want them: beginning with the application's own frames."""

import os
import traceback

_OURS = os.path.dirname(__file__) + os.sep
_IMPORT = "<frozen importlib."


def of_user(error):
    """The whole text. The frames that lead to the application, and imports' own, are not its."""
    whole = traceback.TracebackException.from_exception(error)
    part, seen = whole, set()
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        frames = [frame for frame in part.stack if not _is_plumbing(frame.filename)]
        part.stack = traceback.StackSummary.from_list(frames)
        part = part.__cause__ or part.__context__
    return "".join(whole.format())


def _is_plumbing(filename):
    return filename.startswith((_OURS, _IMPORT)) or filename == "/python/importlib/__init__.py"
