"""From what the application returned to a body of the interface."""

from wit_world.exports.app import Body_Bytes, Body_Empty, Body_Host, Body_Iter
from wit_world.imports.types import HostBody

from _wasm_gw import block
from _wasm_gw.blocks import Blocks
from _wasm_gw.file_wrapper import FileWrapper
from _wasm_gw.input import Input


def body_of(result, environ):
    """The cheapest form in which no block is held back."""
    # Of a list all is there already, and it has no `close`; of a subclass neither is known.
    if type(result) in (list, tuple):
        return _whole(result)
    if isinstance(result, (str, bytes, bytearray)):
        kind = type(result).__name__
        raise TypeError(f"the application returned {kind}: it must return a list of bytes, [body]")
    if type(result) is FileWrapper and _is_untouched(result.filelike):
        return Body_Host(HostBody.of_input(environ.input()))
    return Body_Iter(Blocks(result))


def _whole(blocks):
    for part in blocks:
        block.check(part)
    if sum(map(len, blocks)) > block.LARGEST:
        return Body_Iter(Blocks(blocks))
    body = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    return Body_Bytes(body) if body else Body_Empty()


def _is_untouched(filelike):
    return type(filelike) is Input and not filelike.read_ahead()
