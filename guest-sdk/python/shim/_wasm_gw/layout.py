"""Where things lie in the memory that each instance begins with, so that a request writes to few pages of it.

An instance's memory is made new after each request, page by page: what counts is how many pages were written to.

What a request allocates goes to wherever something was freed at the build. `fill_holes` leaves no such places, so
that it all lies close together.

Objects that are there at the build are counted up and down by whoever uses them, all over the memory. `list_objects`
tells the build where they are; it makes them immortal (PEP 683), and nobody counts them again.
"""

import gc
import sys
from types import CodeType, FrameType, GeneratorType

from _wasm_gw import letterbox

# The objects and blocks that have to stay where they are.
_kept = []


def settle():
    """To be called when all else is done."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 14) or sys.maxsize != 2**31 - 1:
        # Nothing is known of another one's memory.
        return
    # Of objects that were freed the interpreter keeps some for later: they are given back first.
    gc.collect()
    _kept.append(fill_holes())
    _kept.append(list_objects())


# More blocks are not allocated to fill holes.
_MOST = 200_000

# So many bytes that lie one behind the other show that there is no hole of a size any more.
_NO_HOLE = 40_000

# What `bytes` needs beside its contents, and what the allocator writes before each block.
_OVERHEAD = sys.getsizeof(b"") + 4

# Blocks are that much further apart than they are large, at most.
_ROUNDED = 16


def fill_holes():
    """Allocates blocks of each size, the large ones first, until they come one behind the other. Returns those that
    fill holes."""
    # Of its last size from the beginning: a list that grows leaves holes itself.
    blocks = [None] * _MOST
    end = 0
    for size in _sizes():
        end = _fill(size, blocks, end)
    del blocks[end:]
    return blocks


def _sizes():
    size = 64 * 1024
    while size > 512:
        yield size
        size //= 2
    yield from range(512, 31, -16)


def _fill(size, blocks, end):
    run = 0
    before = None
    while run * size < _NO_HOLE:
        if end == len(blocks):
            return end
        block = bytes(size - _OVERHEAD)
        is_next = before is not None and 0 < id(block) - before <= size + _ROUNDED
        run = run + 1 if is_next else 0
        before = id(block)
        blocks[end] = block
        end += 1
    # The last ones fill no hole.
    for index in range(end - run, end):
        blocks[index] = None
    return end - run


# An object is at a multiple of it, in bytes.
_ALIGNMENT = 4

# What may become more while it is listed, in bytes.
_GROWTH = 1 << 20

_ZEROS = bytes(1 << 12)

# They end with what is done now.
_PASSING = (FrameType, GeneratorType)


def list_objects():
    """Writes a file with a bit for each place in the memory where an object can be, which says whether one is there.
    Returns those objects: as long as nobody frees them, no other takes a place of theirs."""
    first = gc.get_objects()
    most = max(map(id, first)) + _GROWTH
    bits = bytearray((most // _ALIGNMENT // 8 + 1) // len(_ZEROS) * len(_ZEROS) + len(_ZEROS))
    found = []

    def see(things):
        for thing in things:
            at = id(thing)
            # Not `isinstance`, which asks the object.
            if at >= most or type(thing) in _PASSING:
                continue
            byte, bit = _place(at)
            if not bits[byte] & bit:
                bits[byte] |= bit
                found.append(thing)

    # These are not to stay.
    ours = [_place(id(thing)) for thing in (first, bits, see)]
    for byte, bit in ours:
        bits[byte] |= bit
    see(first)
    first.clear()
    # The list becomes longer on the way.
    for thing in found:
        see(_referents(thing))
    for byte, bit in ours:
        bits[byte] &= ~bit
    letterbox.report_objects(bits)
    # They would be part of the component.
    for start in range(0, len(bits), len(_ZEROS)):
        bits[start : start + len(_ZEROS)] = _ZEROS
    return found


def _place(at):
    at //= _ALIGNMENT
    return at >> 3, 1 << (at & 7)


def _referents(thing):
    yield type(thing)
    yield from gc.get_referents(thing)
    if type(thing) is CodeType:
        # The collector has nothing to do with it.
        yield from (thing.co_consts, thing.co_names, thing.co_filename, thing.co_name)
        yield from (thing.co_qualname, thing.co_linetable, thing.co_exceptiontable)
        yield from (*thing.co_varnames, *thing.co_freevars, *thing.co_cellvars)
