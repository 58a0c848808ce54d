"""Nothing imports this at the build."""

NAME = __name__
