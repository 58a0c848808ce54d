import hashlib

import falcon


class Index:
    def on_get(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "falcon\n"


class Hello:
    def on_get(self, req, resp, name):
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"Hello, {name}!\n"


class Form:
    def on_post(self, req, resp):
        form = req.get_media()
        n = form.get("n", [])
        resp.media = {"name": form["name"], "all": n if isinstance(n, list) else [n]}


class Upload:
    def on_post(self, req, resp):
        for part in req.get_media():
            if part.name != "file":
                continue
            digest = hashlib.sha256()
            size = 0
            while block := part.stream.read(65536):
                digest.update(block)
                size += len(block)
            resp.media = {"name": part.filename, "size": size, "sha256": digest.hexdigest()}


class Stream:
    def on_get(self, req, resp, n):
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = (f"line {i}\n".encode() for i in range(n))


class Shout:
    def on_post(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = (line.upper() for line in req.stream)


class Teapot:
    def on_get(self, req, resp):
        raise falcon.HTTPError(418, title="short and stout")


class Broken:
    def on_get(self, req, resp):
        raise RuntimeError("broken on purpose")


app = falcon.App()
app.add_route("/", Index())
app.add_route("/hello/{name}", Hello())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_route("/stream/{n:int}", Stream())
app.add_route("/shout", Shout())
app.add_route("/teapot", Teapot())
app.add_route("/broken", Broken())
