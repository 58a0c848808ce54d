"""What a program of a server finds around it: the folder that it was started in, and the user it runs as."""

import os

# `nobody`. Not 0: whoever may do all is also asked to, as `tarfile` is, which then calls os.chown.
_USER = 65534


def enter(folder):
    """`open("words.txt")` finds the application's own file, at the build and in each instance."""
    os.chdir(folder)


def be_somebody():
    """CPython has these nowhere in WASI, and packages import them by name: platformdirs, of which
    pkg_resources and so Pyramid make use, cannot be imported without `getuid`."""
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        if not hasattr(os, name):
            setattr(os, name, _somebody)


def _somebody():
    return _USER
