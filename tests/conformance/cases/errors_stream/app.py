"""Writes to its log, in any characters; a line is whole at its line feed, or at the end."""


def app(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("to the log\n")
    errors.write("café € \U0001f600\n")
    errors.writelines(["in two ", "parts\n"])
    errors.write("\na line feed ends a line\nnot the last: \x1b[31m\n")
    errors.flush()
    errors.write("without an end")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"logged\n"]
