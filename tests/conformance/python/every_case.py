"""All cases in one component, since making one takes its time: `$CASE` says which it is.

Beside this module, the folder of the cases is on the path.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

APPLICATIONS = {
    source.parent.name: import_module(f"{source.parent.name}.app").app
    for folder in sys.path
    for source in Path(folder).glob("*/app.py")
}


def app(environ, start_response):
    return APPLICATIONS[os.environ["CASE"]](environ, start_response)
