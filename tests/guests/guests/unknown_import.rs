//! Imports an interface that no host has, and calls it.
//! For: such a component is refused when it is loaded, with the name of the import.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

mod bindings {
    wit_bindgen::generate!({
        inline: r#"
            package acme:thing@1.2.3;

            interface unknown {
                answer: func() -> u32;
            }

            world imports {
                import unknown;
            }
        "#,
    });
}

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let answer = bindings::acme::thing::unknown::answer();
    start_text(&start_response)?;
    Ok(format!("{answer}\n").into())
}

wasm_gw_guest::export!(app);
