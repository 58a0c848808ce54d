//! Applications as people write them, built as `wasm-gw build` does, with their packages by digest, and visited over
//! HTTP: the examples with Flask (`flask`) and Django (`django`), and one small application with each of Bottle,
//! Falcon and Pyramid (`small`). `in_a_browser` is a real one. The limits are the default ones.
//!
//! Each of the five is imported and compiled once, and kept between runs: two and a half minutes of two cores when nothing
//! is there yet, most of it for compiling, and a quarter of a minute when all is.

mod django;
mod flask;
#[cfg(target_os = "linux")]
mod in_a_browser;
mod small;

use wasm_gw_tests::{Response, TestApp, TestServer, log, python_component};

/// An application with a key that it did not have at its build.
async fn serve(folder: &str, target: &str) -> TestServer {
    serve_with(folder, target, &[("SECRET_KEY", "of the run")]).await
}

/// An application in this environment.
async fn serve_with(folder: &str, target: &str, env: &[(&str, &str)]) -> TestServer {
    let component = python_component(folder, target).unwrap_or_else(|problem| panic!("{problem}"));
    let app = TestApp::of_component(folder, component).app(|app| {
        let env = env.iter();
        app.grants.env = env
            .map(|&(name, value)| (name.into(), value.into()))
            .collect();
    });
    app.serve().await
}

/// A page has all of this in it.
#[track_caller]
fn has(page: &Response, parts: &[&str]) {
    let text = page.text();
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// A page has nothing of this in it.
#[track_caller]
fn has_not(page: &Response, parts: &[&str]) {
    let text = page.text();
    for part in parts {
        assert!(!text.contains(part), "`{part}` in: {text}");
    }
}

/// The client learns that something went wrong, and nothing more; the log has the line of the source.
async fn is_told_in_the_log_only(response: &Response, exception: &str, file: &str) {
    has_not(
        response.expect(500),
        &["Traceback", "RuntimeError", "on purpose", ".py"],
    );
    for part in [
        "Traceback (most recent call last)",
        exception,
        "raise RuntimeError",
        file,
    ] {
        log::wait(response.id(), part).await;
    }
}
