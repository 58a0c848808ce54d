from flask import jsonify, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError


def page(error):
    if request.path.startswith("/api/"):
        answer = jsonify(error=error.name, message=error.description)
        answer.status_code = error.code
        return answer
    return render_template("errors/error.html", error=error), error.code


def not_found(error):
    return page(error)


def failed(error):
    # Flask has logged the exception with its traceback by now.
    return page(InternalServerError())


def other(error):
    # What is no error, such as a redirect, goes out as it is.
    if error.code is None or error.code < 400:
        return error
    return page(error)


def init_app(app):
    app.register_error_handler(404, not_found)
    app.register_error_handler(500, failed)
    app.register_error_handler(HTTPException, other)
