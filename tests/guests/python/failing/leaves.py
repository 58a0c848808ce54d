"""A script, and no module."""

import sys

sys.exit("done")
