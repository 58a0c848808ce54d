"""Threads, which a sandbox does not have, say so. Only what would trap, or fail without its reason,
is wrapped.

Processes are not: CPython says by itself that WASI has none. For sockets there is `network`.
"""

import _thread
import functools
import threading

SEE = "in a WebAssembly sandbox; see docs/guests/python.md"


def explain():
    """Before the application is imported, which may take these names along."""
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_joinable_thread"):
            for attribute in (name, f"_{name}"):
                if hasattr(module, attribute):
                    setattr(module, attribute, _no_thread)
    threading.Condition.wait = _bounded(threading.Condition.wait)


def _no_thread(*_, **__):
    raise RuntimeError(f"an application cannot start threads {SEE}")


def _bounded(wait):
    """Nobody else is there to notify us. CPython would trap, and tell nothing."""

    @functools.wraps(wait)
    def wait_or_fail(self, timeout=None):
        if timeout is None:
            raise RuntimeError(f"this would wait for ever: there are no other threads {SEE}")
        return wait(self, timeout)

    return wait_or_fail
