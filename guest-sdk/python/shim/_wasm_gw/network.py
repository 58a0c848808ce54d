"""Sockets: refused with the reason, and kept away from the build.

The C library opens the network once and keeps the handle. One of the build's is none of any
instance, and the first name that is looked up there would trap.
"""

import _socket
import functools
import socket
from asyncio import SelectorEventLoop

from _wasm_gw.sandbox import SEE

_LOOKUPS = [
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
]

_is_build = True


def explain():
    """Before the application is imported, which may take these names along."""
    socket.socket.__init__ = _guarded(socket.socket.__init__)
    for name in _LOOKUPS:
        lookup = _guarded(getattr(_socket, name))
        setattr(_socket, name, lookup)
        if name != "getaddrinfo":  # It has one of its own around that of C.
            setattr(socket, name, lookup)
    _let_event_loops_run()


def open_for_instances():
    """At the end of the build."""
    global _is_build
    _is_build = False


def _guarded(call):
    @functools.wraps(call)
    def call_or_explain(*args, **kwargs):
        if _is_build:
            raise OSError(f"there is no network while the application is imported {SEE}")
        try:
            return call(*args, **kwargs)
        except (PermissionError, socket.gaierror) as error:
            if isinstance(error, socket.gaierror) and error.errno != socket.EAI_FAIL:
                raise
            raise type(error)(error.errno, f"there is no network {SEE}") from None

    return call_or_explain


def _let_event_loops_run():
    """asyncio's loop wants a pair of sockets only to be woken up by threads and signals."""
    for name in ("_make_self_pipe", "_close_self_pipe", "_write_to_self"):
        setattr(SelectorEventLoop, name, lambda self: None)
