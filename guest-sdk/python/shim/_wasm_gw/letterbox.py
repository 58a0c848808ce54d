"""The folder by which build and shim talk to each other; `entry` says what lies in it.

A file, because the pipes to componentize-py take ten kilobytes and then fail the import.
"""

import json
import os

from _wasm_gw_target import APPLICATION, ENVIRONMENT, SETTLE, TARGET, WARM
import _wasm_gw_target

FOLDER = os.path.dirname(_wasm_gw_target.__file__)


def open_output():
    """The file for what is printed while the application is imported."""
    return open(os.path.join(FOLDER, "output.txt"), "ab", buffering=0)


def temporary_folder():
    """A folder that goes with the build."""
    folder = os.path.join(FOLDER, "tmp")
    os.makedirs(folder, exist_ok=True)
    return folder


def report_failure(text):
    """Says why there is no application."""
    _write("failure.txt", text)


def report_warm_failure(path, text):
    """Says why a path cannot be warmed."""
    _write("warm-failure.txt", f"{path}\n{text}")


def report_warmed(answers):
    """The first answer to each path."""
    _write("warmed.json", json.dumps(answers))


def report_objects(bits, constants):
    """Says where in the memory objects are, and where constants are counted."""
    with open(os.path.join(FOLDER, "constants.bin"), "wb") as file:
        file.writelines(constants)
    with open(os.path.join(FOLDER, "objects.bin"), "wb") as file:
        file.write(bits)


def _write(name, text):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
