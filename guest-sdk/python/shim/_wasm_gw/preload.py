"""Imports now what functions of the loaded modules import later, if it is of the standard library.

Modules of others are left alone: they may count on being imported when they are.
"""

import contextlib
import gc
import importlib
import sys
from opcode import opmap
from types import CodeType, FunctionType

_EXTENDED_ARG = opmap["EXTENDED_ARG"]
_IMPORT_NAME = opmap["IMPORT_NAME"]

# They do something when they are imported, or are for programmers at a terminal.
_NEVER = {
    *("_android_support", "_apple_support", "_ios_support"),
    *("__main__", "antigravity", "idlelib", "pdb", "test", "this", "tkinter", "turtle"),
}

# By what is computed: codecs by their names, and the pool by an attribute.
_ALSO = [
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.iso8859_1",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_16",
    "encodings.utf_8_sig",
]


def preload():
    """One round: what the modules imported by it put off in turn stays late."""
    functions = [thing for thing in gc.get_objects() if isinstance(thing, FunctionType)]
    codes = {function.__code__ for function in functions}
    names = {name for code in codes for name in _imported_by(code)}
    wanted = {name for name in names if _is_standard(name)}
    for name in [*sorted(wanted - sys.modules.keys()), *_ALSO]:
        # Much of it is for other systems than this one.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _imported_by(code):
    raw = code.co_code
    if _IMPORT_NAME in raw[::2]:
        argument = 0
        for operation, low in zip(raw[::2], raw[1::2]):
            argument = argument << 8 | low
            if operation == _IMPORT_NAME:
                yield code.co_names[argument]
            if operation != _EXTENDED_ARG:
                argument = 0
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imported_by(constant)


def _is_standard(name):
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names and top not in _NEVER
