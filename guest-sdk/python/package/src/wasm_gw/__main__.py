"""Runs the program that was installed beside this module, in the place of the interpreter."""

import os
import sys
import sysconfig


def program():
    """Its path: where pip puts programs, for all or for this user."""
    schemes = [sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")]
    paths = [os.path.join(sysconfig.get_path("scripts", scheme), "wasm-gw") for scheme in schemes]
    for path in paths:
        if os.path.isfile(path):
            return path
    sys.exit(f"wasm-gw is not there: {' or '.join(paths)}; install it again by pip")


if __name__ == "__main__":
    path = program()
    os.execv(path, [path, *sys.argv[1:]])
