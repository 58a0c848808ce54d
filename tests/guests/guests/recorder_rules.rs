//! Starts badly through a `recorder` in several ways, and reports a line for
//! each: what `start` said, and whether the recorder takes it for started.
//! For: the interface `recording` (4.4, R): a wrapped application meets the
//! checks of 1.4.

use wasm_gw_guest::{Body, Environ, Error, Result, StartError, StartResponse};
use wasm_gw_test_guests::start_text;

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package wasm-gw:test-guests;

            world recorder {
                import wasm-gw:gateway/recording@0.1.0;
            }
        "#,
        with: {
            "wasm-gw:gateway/types@0.1.0": wasm_gw_guest::raw::types,
            "wasm-gw:gateway/recording@0.1.0": generate,
        },
    });
}

use bindings::wasm_gw::gateway::recording::Recorder;

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let recorder = Recorder::new();
    let inner = StartResponse::from_raw(recorder.start_response());
    let failure = Error::new("Inner", "failed");
    let again = |status: &str, headers: &[(&str, &str)]| -> Result<(), StartError> {
        let started = inner.start_with_exc_info(status, headers, Some(&failure));
        started.map(drop)
    };
    let many = vec![("x", ""); 1000];
    let mut report = String::new();
    for (what, outcome) in [
        ("status", inner.start("nonsense", &[]).map(drop)),
        ("after it", inner.start("200 OK", &[]).map(drop)),
        ("hop-by-hop", again("200 OK", &[("Upgrade", "x")])),
        ("name", again("200 OK", &[("a b", "x")])),
        ("value", again("200 OK", &[("x", "\0")])),
        ("many", again("200 OK", &many)),
    ] {
        report.push_str(&format!("{what}: {outcome:?}\n"));
    }
    report.push_str(&format!("started: {}\n", recorder.started().is_some()));
    report.push_str(&format!("good: {:?}\n", again("200 OK", &[])));
    report.push_str(&format!("started: {}\n", recorder.started().is_some()));
    start_text(&start_response)?;
    Ok(report.into())
}

wasm_gw_guest::export!(app);
