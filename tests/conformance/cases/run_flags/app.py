"""Says what the host says of its threads and processes."""


def app(environ, start_response):
    names = ["multithread", "multiprocess", "run_once"]
    said = [f"{name}={str(environ[f'wsgi.{name}']).lower()}" for name in names]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(said).encode()]
