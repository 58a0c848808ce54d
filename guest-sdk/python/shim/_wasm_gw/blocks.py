"""The iterable that the application returned, as the host takes it: block by block."""

from wit_world.exports import app

from _wasm_gw import block, failure, output


class Blocks(app.Blocks):
    """The iteration begins when the host asks for the first block, as in any server."""

    def __init__(self, iterable):
        self._iterable = iterable
        self._iterator = None
        # What is left of a block that is too large for once, the next part last.
        self._parts = []

    def next(self):
        """The next block, an empty one too; none at the end."""
        try:
            if self._parts:
                return self._parts.pop()
            if self._iterator is None:
                self._iterator = _iterator_of(self._iterable)
            return self._take()
        except StopIteration:
            return None
        except BaseException as error:
            raise failure.of(error) from None

    def close(self):
        """The host calls it once, however the iteration ended."""
        # An instance may live on, and componentize-py never lets go of this object.
        iterable, self._iterable, self._iterator, self._parts = self._iterable, None, None, []
        try:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            raise failure.of(error) from None
        finally:
            output.flush()

    def _take(self):
        taken = next(self._iterator)
        block.check(taken)
        if len(taken) <= block.LARGEST:
            return taken
        self._parts = block.parts_of(taken)[::-1]
        return self._parts.pop()


def _iterator_of(iterable):
    try:
        return iter(iterable)
    except TypeError:
        if hasattr(iterable, "__iter__"):
            raise
    kind = type(iterable).__name__
    raise TypeError(f"the application returned {kind}: it must return an iterable of bytes")
