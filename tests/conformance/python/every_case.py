"""All cases in one component, since making one takes its time: `$CASE` says which it is."""

import os
from importlib import import_module
from pathlib import Path

CASES = Path(__file__).parent.parent / "cases"

APPLICATIONS = {
    source.parent.name: import_module(f"cases.{source.parent.name}.app").app
    for source in CASES.glob("*/app.py")
}


def app(environ, start_response):
    return APPLICATIONS[os.environ["CASE"]](environ, start_response)
