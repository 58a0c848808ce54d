"""`wsgi.file_wrapper`: an iterable over any file-like object.

Given `wsgi.input`, it is known again when the application returns it, and the host passes the body
through by itself (`body`). All others are read here: a file of the component is no file of the
server.
"""


class FileWrapper:
    """Reads blocks from where the file is, until there are no more."""

    def __init__(self, filelike, blksize=8192, /):
        self.filelike = filelike
        self.blksize = blksize
        # As it is for the file: an iterable that has one must be closed.
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.blksize)
        if not block:
            raise StopIteration
        return block
