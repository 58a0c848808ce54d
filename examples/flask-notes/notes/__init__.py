"""Notes, kept in a signed cookie."""

import logging
import os

from flask import Flask


class Notes(Flask):
    @property
    def secret_key(self):
        # Read when it is needed and not when the application is made: a key
        # belongs to where an application runs, not to where it was built.
        return os.environ.get("SECRET_KEY")


def create_app(config=None):
    app = Notes(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=20 * 1024 * 1024 + 64 * 1024,  # the file, and the form around it
        SESSION_COOKIE_NAME="notes",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        NOTES_MAX=20,
        NOTES_MAX_BYTES=2048,
    )
    if config:
        app.config.update(config)
    app.logger.setLevel(logging.INFO)

    from . import csrf, errors, files, views

    csrf.init_app(app)
    errors.init_app(app)
    app.register_blueprint(views.bp)
    app.register_blueprint(files.bp)
    return app
