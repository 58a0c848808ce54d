import hashlib

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for

bp = Blueprint("files", __name__, url_prefix="/files")


@bp.get("/")
def index():
    return render_template("notes/files.html", files=[])


@bp.post("/")
def upload():
    """Nothing is kept: the answer says what has arrived."""
    files = [describe(f) for f in request.files.getlist("file") if f.filename]
    if not files:
        flash("Choose a file first.", "bad")
        return redirect(url_for(".index"), 303)
    for f in files:
        current_app.logger.info("upload: %(size)d bytes of %(type)s", f)
    return render_template("notes/files.html", files=files)


def describe(file):
    digest = hashlib.sha256()
    size = 0
    while block := file.stream.read(65536):
        digest.update(block)
        size += len(block)
    return {
        "name": file.filename,
        "type": file.mimetype or "application/octet-stream",
        "size": size,
        "sha256": digest.hexdigest(),
    }
