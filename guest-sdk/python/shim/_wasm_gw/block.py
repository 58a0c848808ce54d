"""A block of a response's body: bytes, and at most as large as the host takes at once."""

# The host's own bound.
LARGEST = 16 * 1024 * 1024


def check(block):
    """Anything else than bytes is a mistake of the application's."""
    if type(block) is not bytes and not isinstance(block, bytes):
        raise TypeError(f"a block of a body must be bytes, not {type(block).__name__}")


def parts_of(block):
    """The block itself, in parts if it is too large."""
    if len(block) <= LARGEST:
        return [block]
    return [block[at : at + LARGEST] for at in range(0, len(block), LARGEST)]
