import hashlib

from pyramid.config import Configurator
from pyramid.httpexceptions import exception_response
from pyramid.response import Response


def index(request):
    return Response("pyramid\n", content_type="text/plain")


def hello(request):
    return f"Hello, {request.matchdict['name']}!\n"


def form(request):
    return {"name": request.POST["name"], "all": request.POST.getall("n")}


def upload(request):
    file = request.POST["file"]
    digest = hashlib.sha256()
    size = 0
    while block := file.file.read(65536):
        digest.update(block)
        size += len(block)
    return {"name": file.filename, "size": size, "sha256": digest.hexdigest()}


def stream(request):
    n = int(request.matchdict["n"])
    lines = (f"line {i}\n".encode() for i in range(n))
    return Response(app_iter=lines, content_type="text/plain")


def shout(request):
    lines = (line.upper() for line in request.environ["wsgi.input"])
    return Response(app_iter=lines, content_type="text/plain")


def teapot(request):
    raise exception_response(418)


def broken(request):
    raise RuntimeError("broken on purpose")


def main():
    with Configurator() as config:
        for name, pattern, view, renderer, method in (
            ("index", "/", index, None, "GET"),
            ("hello", "/hello/{name}", hello, "string", "GET"),
            ("form", "/form", form, "json", "POST"),
            ("upload", "/upload", upload, "json", "POST"),
            ("stream", "/stream/{n:\\d+}", stream, None, "GET"),
            ("shout", "/shout", shout, None, "POST"),
            ("teapot", "/teapot", teapot, None, "GET"),
            ("broken", "/broken", broken, None, "GET"),
        ):
            config.add_route(name, pattern)
            config.add_view(view, route_name=name, renderer=renderer, request_method=method)
        return config.make_wsgi_app()


app = main()
