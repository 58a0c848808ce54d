import hashlib

from bottle import Bottle, HTTPResponse, SimpleTemplate, request, response

app = Bottle()
page = SimpleTemplate("<p>Hello, {{name}}!</p>\n")


@app.get("/")
def index():
    response.content_type = "text/plain; charset=utf-8"
    return "bottle\n"


@app.get("/hello/<name>")
def hello(name):
    return page.render(name=name)


@app.post("/form")
def form():
    return {"name": request.forms.getunicode("name"), "all": request.forms.getall("n")}


@app.post("/upload")
def upload():
    file = request.files.get("file")
    digest = hashlib.sha256()
    size = 0
    while block := file.file.read(65536):
        digest.update(block)
        size += len(block)
    return {"name": file.raw_filename, "size": size, "sha256": digest.hexdigest()}


@app.get("/stream/<n:int>")
def stream(n):
    response.content_type = "text/plain"
    for i in range(n):
        yield f"line {i}\n".encode()


@app.post("/shout")
def shout():
    response.content_type = "text/plain"
    for line in request.environ["wsgi.input"]:
        yield line.upper()


@app.get("/teapot")
def teapot():
    raise HTTPResponse("short and stout\n", 418)


@app.get("/broken")
def broken():
    raise RuntimeError("broken on purpose")
