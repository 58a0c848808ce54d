"""Where things lie in the memory that each instance begins with, so that a request writes to few pages of it.

An instance's memory is made new after each request, page by page: what counts is how many pages were written to.

What a request allocates goes to wherever something was freed at the build. `fill_holes` leaves no such places, so
that it all lies close together.

Objects that are there at the build are counted up and down by whoever uses them, all over the memory. `list_objects`
tells the build where they are; it makes them immortal (PEP 683), and nobody counts them again.
"""

import contextlib
import gc
import sys
from types import CodeType, FrameType, GeneratorType

from _wasm_gw import letterbox

# The objects and blocks that have to stay where they are.
_kept = []


def settle():
    """To be called when all else is done. Where it cannot be done, it is not, and the build is told of no objects."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 14) or sys.maxsize != 2**31 - 1:
        # Nothing is known of another one's memory.
        return
    # The application may have hooks that see what is done here, and fail.
    with contextlib.suppress(Exception):
        # Of objects that were freed the interpreter keeps some for later: they are given back first. And what the
        # application has frozen is an object too.
        gc.unfreeze()
        gc.collect()
        _kept.append(fill_holes())
        _kept.append(list_objects())


# More blocks are not allocated to fill holes.
_MOST = 200_000

# So many bytes that lie one behind the other show that there is no hole of a size any more.
_NO_HOLE = 40_000

# More bytes in blocks of one size that are not next to each other are in no holes: it is another allocator.
_MOST_APART = 16 << 20

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
    run = apart = 0
    before = None
    while run * size < _NO_HOLE:
        if end == len(blocks) or apart * size > _MOST_APART:
            return end
        block = bytes(size - _OVERHEAD)
        is_next = before is not None and 0 < id(block) - before <= size + _ROUNDED
        run = run + 1 if is_next else 0
        apart += not is_next
        before = id(block)
        blocks[end] = block
        end += 1
    # The last ones fill no hole.
    for index in range(end - run, end):
        blocks[index] = None
    return end - run


# An object is at a multiple of it, in bytes.
_ALIGNMENT = 4

# Room for what is not listed by the collector and lies behind all that is, in bytes.
_BEHIND = 1 << 20

_ZEROS = bytes(1 << 12)


def list_objects():
    """Writes a file with a bit for each place in the memory where an object can be, which says whether one is there.
    Returns those objects: as long as nobody frees them, no other takes a place of theirs."""
    first = gc.get_objects()
    # What is allocated now lies behind all else, since there are no holes.
    most = max(id(bytes(1 << 16)), *map(id, first)) + _BEHIND
    # In whole blocks of zeros, of which it will consist.
    bits = bytearray((most // _ALIGNMENT // 8 // len(_ZEROS) + 1) * len(_ZEROS))
    found = []

    def see(things):
        for thing in things:
            at = id(thing)
            # Neither `isinstance` nor `in`, which ask the object and its type. These end with what is done now.
            kind = type(thing)
            if at >= most or kind is FrameType or kind is GeneratorType:
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
    letterbox.report_objects(bits, _mortal_constants(found))
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


def _mortal_constants(found):
    """Where code that has run loads constants in the way that counts them, since they were mortal then: the byte that is there,
    the one of the other way, and the places, of four bytes each."""
    # Here, since another interpreter may not have them.
    from opcode import _specialized_opmap, opmap

    load = opmap["LOAD_CONST"]
    mortal = _specialized_opmap["LOAD_CONST_MORTAL"]
    yield bytes([mortal, _specialized_opmap["LOAD_CONST_IMMORTAL"], 0, 0])
    for thing in found:
        if type(thing) is CodeType:
            # The code as it was compiled, where what is behind an instruction of its cache is zeros; and as it is.
            code, now = thing.co_code, thing._co_code_adaptive
            start = id(thing) + CodeType.__basicsize__
            for at in range(0, len(code), 2):
                if code[at] == load and now[at] == mortal:
                    yield (start + at).to_bytes(4, "little")
