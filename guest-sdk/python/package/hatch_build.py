"""Says for which platform the wheel is: the program in it runs there, whatever the interpreter."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformHook(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['WASM_GW_PLATFORM']}"
