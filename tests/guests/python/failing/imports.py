"""Wants what is not installed, in a function that the import calls."""


def connect():
    import not_installed


print("x" * 20_000)
connect()
