"""The works of the speed bench by path, in Flask, for gunicorn and granian.

What they answer is in benches/guests/works: keep them alike. There is no work for the processor,
since that would measure Python.
"""

from flask import Flask, Response, request

HELLO = "hello, world!\n"
ANSWERS = {
    "x-answer-1": "a value of the usual length",
    "x-answer-2": "no-cache, no-store, must-revalidate",
    "x-answer-3": 'W/"0815-1f2e3d4c5b6a"',
    "x-answer-4": "default-src 'self'; img-src *",
    "x-answer-5": "accept-encoding, cookie",
    "x-answer-6": "nosniff",
    "x-answer-7": "en",
}
# How much of a body is read at a time, in bytes.
READ = 64 * 1024

app = Flask(__name__)


def text(body, headers=None):
    return Response(body, headers=headers, content_type="text/plain")


def blocks(count, size):
    block = b"x" * size
    return text((block for _ in range(count)), {"content-length": str(count * size)})


@app.get("/")
def hello():
    return text(HELLO)


@app.get("/headers")
def headers():
    seen = sum(name.lower().startswith("x-bench-") for name, _ in request.headers)
    return text(HELLO, {**ANSWERS, "x-seen": str(seen)})


@app.get("/out")
def out():
    return blocks(16, 64 * 1024)


@app.get("/blocks")
def small_blocks():
    return blocks(10_000, 100)


@app.post("/in")
def read():
    length = 0
    while block := request.stream.read(READ):
        length += len(block)
    return text(f"{length}\n")
