"""The folder that an application was started in, and who it is there."""

import io
import json
import os
import tarfile
import tempfile

AT_IMPORT = open("words.txt").read()


def answer(start_response, said):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]


def folder(environ, start_response):
    """It is the application's own, then and now."""
    own = os.path.dirname(os.path.abspath(__file__))
    return answer(start_response, [AT_IMPORT, open("words.txt").read(), os.getcwd() == own])


def user(environ, start_response):
    """Some user, and not one who may do all: `tarfile` would try to give files away."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add("words.txt")
    packed.seek(0)
    with tempfile.TemporaryDirectory() as there, tarfile.open(fileobj=packed) as archive:
        archive.extractall(there)
        text = open(os.path.join(there, "words.txt")).read()
    return answer(start_response, [text, os.getuid() == os.geteuid() != 0, os.getgid() == os.getegid()])
