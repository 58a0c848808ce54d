"""Strings that may leave the component. One with half a surrogate pair cannot, and would trap."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def printable(text):
    """For people: surrogates as escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def native(text):
    """For the protocol: surrogates as another character that it refuses, in its own words."""
    if text.isascii():
        return text
    return _SURROGATE.sub("\ufffd", text)
