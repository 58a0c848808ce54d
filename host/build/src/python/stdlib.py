"""Copies the standard library out of componentize-py, which shows it to nobody but the interpreter inside.

An application may import more of it while it runs than at its build. Run in place of an application, with a folder to
write to; the build of a component then fails, since there is none.
"""

import os
import shutil
import sys

SOURCE = "/python"

# What nothing imports that runs without a terminal, a screen or the network.
UNUSED = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tkinter", "turtledemo"}

# Where this module is; the only folder that can be written to.
TARGET = os.path.dirname(__file__)

for folder, folders, files in os.walk(SOURCE):
    folders[:] = [name for name in folders if name not in UNUSED]
    copy = os.path.join(TARGET, "files", os.path.relpath(folder, SOURCE))
    os.makedirs(copy, exist_ok=True)
    for name in files:
        if name.endswith(".py"):
            shutil.copyfile(os.path.join(folder, name), os.path.join(copy, name))

with open(os.path.join(TARGET, "done.txt"), "w", encoding="utf-8"):
    pass
sys.exit("copied")
