"""Flask: hello, the same by a route with a variable, and a page of a template."""

from flask import Flask, Response, render_template

HELLO = "hello, world!\n"
ROWS = [{"number": number, "name": f"row <{number}>"} for number in range(1, 51)]

app = Flask(__name__)


@app.get("/")
def hello():
    return Response(HELLO, content_type="text/plain")


@app.get("/cold/<name>")
def cold(name):
    """As much work as for hello, by code that nothing has run before."""
    return Response(f"hello, {name}!\n", content_type="text/plain")


@app.get("/page")
def page():
    return render_template("page.html", title="Rows", rows=ROWS)
