"""What must not be as it was at the build: each instance begins with the memory of that moment.

componentize-py itself seeds `random` anew, and sets `os.environ` and `sys.argv`. `secrets`,
`os.urandom` and the clocks ask the host each time. What an application made by itself while it was
imported, a `random.Random()` for example, is its own.
"""

import sys

_renewed = False


def forget():
    """What was renewed for requests of the build is none of an instance's."""
    global _renewed
    _renewed = False


def renew_once():
    """Before the first request of an instance."""
    global _renewed
    if _renewed:
        return
    _renewed = True
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        # It has a generator of its own, which is only made anew in another process.
        tempfile._name_sequence = None
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        # Without a network card it is drawn once, and kept.
        uuid._node = None
