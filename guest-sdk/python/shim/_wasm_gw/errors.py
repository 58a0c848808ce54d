"""`wsgi.errors`: the application's log of this request. Any text; it never fails."""

from _wasm_gw.text import printable


class Errors:
    """The stream."""

    def __init__(self, open_stream):
        self._open_stream = open_stream
        self._stream = None

    def write(self, text, /):
        """A part of a line, or many."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        self._host().write(printable(text))
        return len(text)

    def writelines(self, lines, /):
        """Texts one after the other; nothing is put between them."""
        for line in lines:
            self.write(line)

    def flush(self):
        """What is not yet a line is logged as one."""
        self._host().flush()

    def _host(self):
        if self._stream is None:
            self._stream = self._open_stream()
        return self._stream
