"""What a sandbox cannot have says so. Only what would trap, or fail without its reason, is wrapped.

Processes are not: CPython says by itself that WASI has none.
"""

import _thread
import functools
import socket
import threading

_SEE = "in a WebAssembly sandbox; see docs/guests/python.md"


def explain():
    """Before the application is imported, which may take these names along."""
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_joinable_thread"):
            for attribute in (name, f"_{name}"):
                if hasattr(module, attribute):
                    setattr(module, attribute, _no_thread)
    threading.Condition.wait = _bounded(threading.Condition.wait)
    socket.socket.__init__ = _told_why(socket.socket.__init__)
    _let_event_loops_run()


def _no_thread(*_, **__):
    raise RuntimeError(f"an application cannot start threads {_SEE}")


def _bounded(wait):
    """Nobody else is there to notify us. CPython would trap, and tell nothing."""

    @functools.wraps(wait)
    def wait_or_fail(self, timeout=None):
        if timeout is None:
            raise RuntimeError(f"this would wait for ever: there are no other threads {_SEE}")
        return wait(self, timeout)

    return wait_or_fail


def _told_why(open_socket):
    @functools.wraps(open_socket)
    def open_or_explain(self, *args, **kwargs):
        try:
            open_socket(self, *args, **kwargs)
        except PermissionError as error:
            raise PermissionError(error.errno, f"there is no network {_SEE}") from None

    return open_or_explain


def _let_event_loops_run():
    """asyncio's loop wants a pair of sockets only to be woken up by threads and signals."""
    import asyncio

    loop = asyncio.SelectorEventLoop
    loop._make_self_pipe = loop._close_self_pipe = loop._write_to_self = _nothing


def _nothing(self):
    pass
