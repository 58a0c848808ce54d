//! Plays middleware and wrapped application in one: makes a `recorder`, starts
//! and writes through its `start-response` as an application would, and reports
//! as lines of text what the recorder saw at each step.
//! `?kib=` writes so many KiB into it, `?endless` writes for ever.
//! For: the interface `recording` (4.4, R), M7, its bounded buffer.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

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

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let recorder = Recorder::new();
    let inner = StartResponse::from_raw(recorder.start_response());
    let mut report = String::new();
    let mut say = |what: &str, result: String| {
        report.push_str(what);
        report.push_str(": ");
        report.push_str(&result);
        report.push('\n');
    };

    say("before", started(&recorder));
    let writer = inner.start("200 OK", &[("X-Inner", "1")])?;
    say("after start", started(&recorder));
    let twice = inner.start("201 Created", &[]);
    say("second start", format!("{:?}", twice.map(drop)));

    if query.has("endless") || query.has("kib") {
        let block = [b'x'; 1024];
        let mut left = query.number("kib", u64::MAX);
        let mut outcome = Ok(());
        while left > 0 && outcome.is_ok() {
            outcome = writer.write_block(&block);
            left -= 1;
        }
        say("bulk write", format!("{outcome:?}"));
    }
    say("write one", format!("{:?}", writer.write_block(b"one")));
    say("write two", format!("{:?}", writer.write_block(b"two")));
    let lengths: Vec<usize> = recorder.take_written().iter().map(Vec::len).collect();
    say("written", format!("{lengths:?}"));
    say("again", format!("{:?}", recorder.take_written().len()));

    let failure = Error::new("Inner", "failed");
    let restarted = inner.start_with_exc_info("500 Oops", &[("X-Inner", "2")], Some(&failure));
    say("restart", format!("{:?}", restarted.map(drop)));
    say("after restart", started(&recorder));
    recorder.commit();
    let late = inner.start_with_exc_info("500 Late", &[], Some(&failure));
    say("after commit", format!("{:?}", late.map(drop)));
    say("at last", started(&recorder));

    start_text(&start_response)?;
    Ok(report.into())
}

fn started(recorder: &Recorder) -> String {
    let Some(started) = recorder.started() else {
        return "nothing".to_owned();
    };
    let failure = started.exc_info.map(|exception| exception.message);
    format!("{} {:?} {failure:?}", started.status, started.headers)
}

wasm_gw_guest::export!(app);
