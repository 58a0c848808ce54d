import secrets
import time

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    stream_with_context,
    url_for,
)

bp = Blueprint("notes", __name__)


def all_notes():
    return session.get("notes", [])


@bp.app_template_filter("when")
def when(seconds):
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


@bp.get("/")
def index():
    return render_template("notes/index.html", notes=all_notes())


@bp.route("/new", methods=["GET", "POST"])
def new():
    form = {"title": "", "text": ""}
    errors = {}
    if request.method == "POST":
        form = {name: request.form.get(name, "").strip() for name in form}
        errors = validate(form)
        if not errors:
            note = {"id": secrets.token_hex(4), "at": int(time.time()), **form}
            session["notes"] = [note, *all_notes()]
            current_app.logger.info("note %s is new", note["id"])
            flash("Noted.", "good")
            return redirect(url_for(".index"), 303)
    return render_template("notes/new.html", form=form, errors=errors), 422 if errors else 200


def validate(form):
    errors = {}
    if not form["title"]:
        errors["title"] = "A note needs a title."
    elif len(form["title"]) > 80:
        errors["title"] = "A title has 80 characters at most."
    notes = all_notes()
    size = sum(len((n["title"] + n["text"]).encode()) for n in notes)
    size += len((form["title"] + form["text"]).encode())
    # A browser keeps 4 KiB a cookie, and drops what is larger.
    if len(notes) >= current_app.config["NOTES_MAX"] or size > current_app.config["NOTES_MAX_BYTES"]:
        errors["text"] = "There is no room left. Delete a note."
    return errors


@bp.post("/<id>/delete")
def delete(id):
    notes = all_notes()
    rest = [n for n in notes if n["id"] != id]
    if len(rest) == len(notes):
        abort(404)
    session["notes"] = rest
    current_app.logger.info("note %s is gone", id)
    flash("Deleted.", "good")
    return redirect(url_for(".index"), 303)


@bp.get("/api/notes")
def api():
    return jsonify(notes=all_notes())


@bp.get("/export.txt")
def export():
    """All notes as text, one after the other, as they are made."""

    def lines():
        notes = all_notes()
        yield f"{len(notes)} notes\n"
        for n in notes:
            yield f"\n# {n['title']}\n{when(n['at'])}\n\n{n['text']}\n"

    return Response(stream_with_context(lines()), mimetype="text/plain")


@bp.get("/count/<int:to>")
def count(to):
    """A long answer of which no more than a line is ever in memory."""
    return Response((f"{n}\n" for n in range(1, min(to, 1_000_000) + 1)), mimetype="text/plain")


@bp.get("/broken")
def broken():
    """What a mistake looks like: a page here, and a traceback in the log."""
    raise RuntimeError("this page is broken on purpose")
