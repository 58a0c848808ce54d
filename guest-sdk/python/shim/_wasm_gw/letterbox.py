"""The folder by which build and shim talk to each other; `entry` says what lies in it.

A file, because the pipes to componentize-py take ten kilobytes and then fail the import.
"""

import os

from _wasm_gw_target import APPLICATION, ENVIRONMENT, TARGET
import _wasm_gw_target

FOLDER = os.path.dirname(_wasm_gw_target.__file__)


def open_output():
    """The file for what is printed while the application is imported."""
    return open(os.path.join(FOLDER, "output.txt"), "ab", buffering=0)


def report_failure(text):
    """Says why there is no application."""
    with open(os.path.join(FOLDER, "failure.txt"), "w", encoding="utf-8") as file:
        file.write(text)
