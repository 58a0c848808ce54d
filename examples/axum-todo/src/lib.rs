//! A list of things to do, by an axum router that knows nothing of the gateway. Each thing is a file in the folder
//! `/data`, which must be granted: `wasm-gw serve axum_todo.wasm --dir ./todo::/data`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{delete, get};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};

const FOLDER: &str = "/data";

/// Something to do.
#[derive(Serialize)]
struct Thing {
    id: u64,
    text: String,
}

#[derive(Deserialize)]
struct New {
    text: String,
}

fn app() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/things", get(list).post(add))
        .route("/things/{id}", delete(remove))
}

async fn page() -> Result<Html<String>, Failed> {
    let things: String = things()?
        .iter()
        .map(|thing| format!("<li>{}</li>\n", escaped(&thing.text)))
        .collect();
    Ok(Html(format!(
        "<!doctype html>\n<title>To do</title>\n<ul>\n{things}</ul>\n\
         <form method=post action=things><input name=text autofocus></form>\n"
    )))
}

async fn list() -> Result<Json<Vec<Thing>>, Failed> {
    Ok(Json(things()?))
}

async fn add(Form(new): Form<New>) -> Result<Response, Failed> {
    if new.text.trim().is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "nothing to do\n").into_response());
    }
    let mut id = things()?.last().map_or(1, |last| last.id + 1);
    loop {
        // Another request may be as far.
        match fs::File::create_new(file(id)) {
            Ok(mut file) => {
                file.write_all(new.text.trim().as_bytes())?;
                return Ok(Redirect::to("./").into_response());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => id += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn remove(Path(id): Path<u64>) -> Result<StatusCode, Failed> {
    match fs::remove_file(file(id)) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(StatusCode::NOT_FOUND),
        Err(error) => Err(error.into()),
    }
}

fn file(id: u64) -> PathBuf {
    FilePath::new(FOLDER).join(id.to_string())
}

/// All of them, the oldest first.
fn things() -> io::Result<Vec<Thing>> {
    let mut things = Vec::new();
    for entry in fs::read_dir(FOLDER)? {
        let entry = entry?;
        if let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            let text = fs::read_to_string(entry.path())?;
            things.push(Thing { id, text });
        }
    }
    things.sort_by_key(|thing| thing.id);
    Ok(things)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The folder is not there, or cannot be used.
struct Failed(io::Error);

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let text = format!("{FOLDER}: {}; is it granted (--dir)?\n", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }
}

wasm_gw_guest::export_service!(app());
