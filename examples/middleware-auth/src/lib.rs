//! Asks for a name and a password (HTTP Basic, RFC 7617) before it calls the application that it wraps. Who may
//! pass is in the environ, as pairs with blanks between them. In `wasm-gw.toml`, which others cannot read as they can
//! a command line:
//!
//! ```toml
//! [serve.environ]
//! "auth.users" = "alice:wonderland bob:builder"
//! ```
//!
//! The application finds the name in REMOTE_USER, and neither the pairs nor the password.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::{Choice, ConstantTimeEq};
use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse, latin1};
use wasm_gw_guest_middleware::Wrapped;

const USERS: &str = "auth.users";

/// By these fields of a request some applications are told a name, by a proxy. Here they would be the client's word.
const CLAIMS: [&str; 3] = [
    "HTTP_REMOTE_USER",
    "HTTP_X_REMOTE_USER",
    "HTTP_X_FORWARDED_USER",
];

fn auth(environ: Environ, start_response: StartResponse, app: Wrapped) -> Result<Body> {
    let Some(users) = environ.get(USERS) else {
        return Err(Error::msg(format!("nobody may pass: set {USERS}")));
    };
    let authorization = environ.header("authorization").unwrap_or_default();
    let given = credentials(&authorization).filter(|given| is_known(given, users.as_bytes()));
    let Some(name) = given.as_deref().and_then(name) else {
        start_response.start(
            "401 Unauthorized",
            &[
                ("WWW-Authenticate", r#"Basic realm="app", charset="UTF-8""#),
                ("Content-Type", "text/plain"),
            ],
        )?;
        return Ok("who are you?\n".into());
    };

    for variable in CLAIMS.iter().chain(&[USERS, "HTTP_AUTHORIZATION"]) {
        environ.remove(variable);
    }
    environ.set("AUTH_TYPE", "Basic")?;
    environ.set("REMOTE_USER", &latin1::to_latin1_string(name))?;
    app.call(environ, start_response)
}

/// `name:password` of an Authorization field.
fn credentials(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, token) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    BASE64_STANDARD.decode(token.trim()).ok()
}

/// Compares with each pair, and with all of it: how long it takes tells only lengths.
fn is_known(given: &[u8], users: &[u8]) -> bool {
    let pairs = users.split(u8::is_ascii_whitespace);
    let found = pairs.fold(Choice::from(0), |found, pair| found | pair.ct_eq(given));
    found.into()
}

/// What stands before the first colon. Of no name there is no user.
fn name(pair: &[u8]) -> Option<&[u8]> {
    let end = pair.iter().position(|&byte| byte == b':')?;
    Some(&pair[..end]).filter(|name| !name.is_empty())
}

wasm_gw_guest_middleware::export!(auth);
