"""The module that componentize-py makes a component of; all that is here runs once, at the build.

What is imported now stays in the component's memory as it is, and is there in each fresh instance.

The contract with the build:

    componentize-py -d wit -w application componentize _wasm_gw.entry
        -p SHIM -p LETTERBOX -p APPLICATION -p DEPENDENCIES -o app.wasm

SHIM is the folder above this package. LETTERBOX is an empty folder with one module,
`_wasm_gw_target.py`:

    TARGET = "package.module:app"       # or ":create_app()", any expression in the module
    ENVIRONMENT = {"NAME": "value"}     # of the import alone: at run time there is that of the run
    APPLICATION = "/2"                  # APPLICATION as the interpreter sees it
    WARM = [["/", [["PATH_INFO", "/"], ...]], ...]      # GET requests to answer: path, and environ
    SETTLE = True                       # whether to lay out memory, and to list objects

The shim writes back to that folder:

    output.txt      what was printed while the application was imported and warmed; empty, mostly
    failure.txt     why there is no application: the traceback of the user's own frames, or a
                    sentence; then the command fails, and what it says is of no interest
    warm-failure.txt    the same of a path of WARM, which is the first line
    warmed.json     the first answer to each path of WARM, if there are any
    objects.bin     a bit for each fourth byte of the memory, the lowest first: whether an object is there
    constants.bin   the bytes of LOAD_CONST_MORTAL and LOAD_CONST_IMMORTAL, two of no meaning, and where the first one
                    is, in four bytes each

In these texts, a path `/N/...` is in the folder of the N-th `-p`, counted from 0. At run time the host shows the last two under the
same names, and the standard library as `/python`.
"""

import gc
import os
import sys

# Before all that may be imported from the folders of the user, which are not for us to write to.
sys.dont_write_bytecode = True

from _wasm_gw import hashing, layout, letterbox, network, output, sandbox, surroundings, warm
from _wasm_gw.preload import preload
from _wasm_gw.server import Server
from _wasm_gw.target import load

os.environ.update(letterbox.ENVIRONMENT)
output.replace_streams()
sandbox.explain()
network.explain()
hashing.complete()
surroundings.be_somebody()
surroundings.enter(letterbox.APPLICATION)


class App(Server):
    """What componentize-py looks for, by this name: the implementation of the interface `app`."""


with letterbox.open_output() as file:
    with output.diverted_to(file):
        App.application = staticmethod(load(letterbox.TARGET))
    warm.up(App(), letterbox.WARM, file)
    with output.diverted_to(file):
        preload()
network.open_for_instances()

if letterbox.SETTLE:
    layout.settle()
# What lies around now would be collected, and written to, in each instance again.
gc.collect()
gc.freeze()
