"""Exceptions of the application on their way to the server's log. A client never sees them."""

from componentize_py_types import Err
from wit_world.imports import types

from _wasm_gw import tracebacks
from _wasm_gw.text import printable


def record(error):
    """What remains of an exception beyond the component."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except Exception:
        message = "<an exception whose __str__ fails>"
    return types.Exception(name, printable(message), printable(tracebacks.of_user(error)))


def of(error):
    """What to raise in place of any exception, SystemExit and its like included: there is nothing
    around us that could stop for them, and one that got out would take the instance with it."""
    return Err(record(error))
