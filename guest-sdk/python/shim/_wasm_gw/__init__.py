"""The server side of PEP 3333 in a component: from the gateway's interface to a WSGI callable.

`entry` is where to begin to read. Nothing here is meant to be imported by applications.
"""
