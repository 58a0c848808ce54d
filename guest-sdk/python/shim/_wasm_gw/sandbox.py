"""What cannot be in a sandbox says so: only what would trap or puzzle is touched."""


def explain():
    """Wraps what fails without a word about why."""
