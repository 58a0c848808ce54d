"""What is new in each instance and what is as it was at the build."""

import gc
import json
import logging
import os
import random
import secrets
import sys
import tempfile
import time
import uuid
import weakref

BUILT = time.time()
COUNT = [0]
MADE_AT_IMPORT = [random.random(), next(tempfile._get_candidate_names()), uuid.getnode()]
print("imported", end="")
logging.basicConfig(format="%(levelname)s %(message)s")


def answer(start_response, said):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]


def chance(environ, start_response):
    """None of them twice, in all instances."""
    node = uuid.getnode()
    said = [
        random.random(),
        random.getrandbits(64),
        secrets.token_hex(),
        str(uuid.uuid4()),
        str(uuid.uuid1()),
        str(uuid.uuid7()),
        node,
        os.urandom(8).hex(),
        next(tempfile._get_candidate_names()),
        random.SystemRandom().random(),
    ]
    return answer(start_response, said)


def memory(environ, start_response):
    """A global is as it was at the build, each time."""
    COUNT[0] += 1
    return answer(start_response, COUNT)


class Thing:
    """Can be referred to weakly."""


THING = Thing()
THING.name = "".join(["a text ", "of its own"])


def counted(environ, start_response):
    """Nobody counts what was there at the build. What a request makes is counted and goes, in a cycle too."""
    at_the_build = [COUNT, THING, THING.name, Thing, counted, counted.__code__.co_consts, sys.modules["json"]]
    made = Thing()
    in_a_cycle = Thing()
    in_a_cycle.itself = in_a_cycle
    gone = [weakref.ref(made), weakref.ref(in_a_cycle)]
    of_a_request = [made, in_a_cycle, [], "".join(["another ", "text"])]
    said = {
        "immortal": [all(map(sys._is_immortal, at_the_build)), any(map(sys._is_immortal, of_a_request))],
        "collects": gc.isenabled(),
    }
    del made, in_a_cycle, of_a_request
    gc.collect()
    said["gone"] = [one() is None for one in gone]
    return answer(start_response, said)


def surroundings(environ, start_response):
    """The environment is the run's, and the clock goes on."""
    begin = time.monotonic()
    time.sleep(0.01)
    said = {
        "environment": dict(os.environ),
        "argv": sys.argv,
        "clock": BUILT < time.time() and time.monotonic() - begin >= 0.01,
    }
    return answer(start_response, said)


def late(environ, start_response):
    """Imports where there are no files any more."""
    import this_is_late
    import quopri
    from urllib import robotparser

    names = [this_is_late.NAME, quopri.__name__, robotparser.__name__]
    names.append("\xe4.de".encode("idna").decode())
    try:
        import not_there
    except ModuleNotFoundError as error:
        names.append(error.name)
    return answer(start_response, names)


def zone(environ, start_response):
    """A time zone of the package `tzdata`, whose files are gone."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return answer(start_response, datetime(2026, 1, 1, tzinfo=ZoneInfo("Moon/Base")).isoformat())


def output(environ, start_response):
    """All of it is in the log, each line in its stream, and what has no end comes at the end."""
    print("printed", 1, 2)
    logging.warning("logged")
    print("of errors", file=sys.stderr)
    print("without an end", end="")
    return answer(start_response, None)
