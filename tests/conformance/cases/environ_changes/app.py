"""Changes its variables, which are its own."""

NAMES = ["x.new", "PATH_INFO", "REQUEST_METHOD"]


def app(environ, start_response):
    before = [environ.get(name, "absent") for name in NAMES]
    environ["x.new"] = "set"
    environ["PATH_INFO"] = "/other"
    del environ["REQUEST_METHOD"]
    after = [environ.get(name, "absent") for name in NAMES]
    lines = [f"{name} {old}, {new}" for name, old, new in zip(NAMES, before, after)]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["; ".join(lines).encode()]
