"""Time zones at run time: the data of the package `tzdata`, if the application has it installed.

`zoneinfo` reads them from files, which are not there, neither the system's nor the package's.
"""

import io
import os
from zoneinfo import _common


def take_zones():
    """At the build, while the files are there."""
    try:
        import tzdata
    except ImportError:
        return
    zones = _read(os.path.join(os.path.dirname(tzdata.__file__), "zoneinfo"))
    load_from_files = _common.load_tzdata

    def load_tzdata(key):
        data = zones.get(key)
        return load_from_files(key) if data is None else io.BytesIO(data)

    _common.load_tzdata = load_tzdata


def _read(root):
    zones = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                data = file.read()
            if data.startswith(b"TZif"):
                zones[os.path.relpath(path, root)] = data
    return zones
