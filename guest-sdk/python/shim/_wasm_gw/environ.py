"""The `environ` of a request: a real dict with real strings, which is the application's own."""

from wit_world.imports.types import RunFlags

from _wasm_gw.errors import Errors
from _wasm_gw.file_wrapper import FileWrapper
from _wasm_gw.input import Input


def environ_of(host):
    """The variables of the host, and what cannot be said in strings."""
    flags = host.run_flags()
    environ = dict(host.vars())
    environ["wsgi.version"] = (1, 0)
    environ["wsgi.input"] = Input(host.input)
    environ["wsgi.errors"] = Errors(host.errors)
    environ["wsgi.multithread"] = RunFlags.MULTITHREAD in flags
    environ["wsgi.multiprocess"] = RunFlags.MULTIPROCESS in flags
    environ["wsgi.run_once"] = RunFlags.RUN_ONCE in flags
    environ["wsgi.input_terminated"] = RunFlags.INPUT_TERMINATED in flags
    environ["wsgi.file_wrapper"] = FileWrapper
    return environ
