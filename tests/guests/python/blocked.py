"""What a sandbox does not have, and the exception that says so."""

import json


def tried(start_response, act):
    try:
        said = act()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]


def thread(environ, start_response):
    import threading

    return tried(start_response, threading.Thread(target=print).start)


def pool(environ, start_response):
    from concurrent.futures import ThreadPoolExecutor

    return tried(start_response, lambda: ThreadPoolExecutor().submit(print).result())


def process(environ, start_response):
    import subprocess

    return tried(start_response, lambda: subprocess.run(["ls"]))


def connection(environ, start_response):
    import socket

    return tried(start_response, lambda: socket.create_connection(("127.0.0.1", 80)))


def queue(environ, start_response):
    import queue

    return tried(start_response, queue.Queue().get)


def bounded_wait(environ, start_response):
    import threading

    return tried(start_response, lambda: threading.Event().wait(0.01))


def event_loop(environ, start_response):
    import asyncio

    async def work():
        await asyncio.sleep(0.01)
        return sum(await asyncio.gather(one(), one()))

    async def one():
        return 1

    return tried(start_response, lambda: asyncio.run(work()))


def file(environ, start_response):
    return tried(start_response, lambda: open("/etc/passwd").read())
