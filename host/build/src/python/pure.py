"""Takes the native part out of packages that are built from source, since a component cannot run it.

The build of a package's wheel loads this as `sitecustomize`, before setuptools. What is left is what the package has
for interpreters without a compiler; if it has nothing, its import fails, and whoever builds is told what was left out.
"""

import importlib.abc
import importlib.util
import os
import sys


class Finder(importlib.abc.MetaPathFinder):
    """Waits for setuptools."""

    def find_spec(self, name, path, target=None):
        if name != "setuptools.dist":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            make_pure(module.Distribution)

        spec.loader.exec_module = exec_module
        return spec


def make_pure(distribution):
    """From now on no package has an extension."""
    finalize_options = distribution.finalize_options

    def finalize(self):
        finalize_options(self)
        self.left_out, self.ext_modules = self.ext_modules, []

    def has_ext_modules(self):
        # Whoever makes the wheel asks, and by then the package has its name.
        if getattr(self, "left_out", None):
            with open(os.environ["WASM_GW_LEFT_OUT"], "a", encoding="utf-8") as file:
                print(self.get_name(), file=file)
        return False

    distribution.finalize_options = finalize
    distribution.has_ext_modules = has_ext_modules


sys.meta_path.insert(0, Finder())
