"""Imports at run time, when there are no files: their sources are taken along, compressed.

A late import is compiled in each instance that comes to it. What the standard library puts off in
its functions, and applications put off of it, is therefore imported at the build (`preload`); the
rest of this is for correctness, and for the lines in tracebacks.
"""

import importlib.util
import linecache
import os
import sys
import zlib
from importlib.abc import ExecutionLoader
from importlib.machinery import ModuleSpec

_STANDARD = "/python"

# Of the standard library, by folder: large, and nothing for a server.
_LEFT_OUT = {"__phello__", "ensurepip", "idlelib", "pydoc_data", "test", "tkinter", "turtledemo"}


class Sources(ExecutionLoader):
    """Finder and loader of modules that lie in memory; it is asked when no file was found."""

    def __init__(self):
        self._modules = {}
        self._namespaces = {}

    def add_folder(self, root):
        """All modules below this entry of the path that no entry before it had."""
        for folder, folders, files in os.walk(root):
            package = folder[len(root) :].strip("/").replace("/", ".")
            folders[:] = [name for name in folders if _may_be_package(root, name)]
            if package:
                self._namespaces.setdefault(package, folder)
            for file in files:
                name, extension = os.path.splitext(file)
                if extension == ".py" and name.isidentifier():
                    self._add(_join(package, name), os.path.join(folder, file))

    def _add(self, name, path):
        package, is_package = name, name.endswith("__init__")
        if is_package:
            package = name.removesuffix("__init__").rstrip(".")
        standard = path.startswith(_STANDARD)
        if package in self._modules or not package or (standard and package in sys.modules):
            return
        with open(path, "rb") as file:
            self._modules[package] = (path, is_package, zlib.compress(file.read()))
        linecache.cache[path] = (lambda: self.get_source(package),)

    def find_spec(self, name, path=None, target=None):
        if name in self._modules:
            file, is_package, _ = self._modules[name]
            folders = [os.path.dirname(file)] if is_package else None
            return importlib.util.spec_from_file_location(
                name, file, loader=self, submodule_search_locations=folders
            )
        if name in self._namespaces:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [self._namespaces[name]]
            return spec
        return None

    def get_filename(self, name):
        return self._modules[name][0]

    def is_package(self, name):
        return self._modules[name][1]

    def get_source(self, name):
        return importlib.util.decode_source(zlib.decompress(self._modules[name][2]))


def take_sources():
    """Of all that could be imported. Python files that belong to nothing do little harm."""
    sources = Sources()
    for root in sys.path:
        if os.path.isdir(root):
            sources.add_folder(root)
    sys.meta_path.append(sources)


def _may_be_package(root, name):
    left_out = root == _STANDARD and name in _LEFT_OUT
    return name.isidentifier() and name not in ("__pycache__", "node_modules") and not left_out


def _join(package, name):
    return f"{package}.{name}" if package else name
