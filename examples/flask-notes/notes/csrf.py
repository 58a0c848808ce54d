"""A token in the session, which every form has to send along."""

import hmac
import secrets

from flask import abort, request, session


def token():
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(16)
    return session["csrf"]


def check():
    if request.method in ("GET", "HEAD", "OPTIONS") or request.routing_exception:
        return
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    known = session.get("csrf", "")
    # compare_digest takes no strings beyond ASCII.
    if not known or not hmac.compare_digest(sent.encode(), known.encode()):
        abort(400, "The form is out of date, or was not sent from this site.")


def init_app(app):
    app.before_request(check)
    app.jinja_env.globals["csrf_token"] = token
