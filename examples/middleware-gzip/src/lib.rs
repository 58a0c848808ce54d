//! Compresses by gzip what the application that it wraps answers, where the client takes that and it is worth it.
//! Each block is compressed and passed on by itself, so that none waits for the next.

use std::io::Write;
use std::mem;

use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_guest_middleware::{Filter, Head, Wrapped};

/// A shorter body would hardly become smaller. In bytes.
const SHORT: u64 = 256;

fn gzip(environ: Environ, start_response: StartResponse, app: Wrapped) -> Result<Body> {
    let accepted = is_accepted(&environ.header("accept-encoding").unwrap_or_default());
    let has_body = environ.method() != "HEAD";
    app.call_filtered(environ, start_response, move |head| {
        if !is_worth_it(head) {
            return Ok(None);
        }
        // Also where it goes out as it is: caches must not give it to those who accept something else.
        vary(head);
        if !accepted || !has_body {
            return Ok(None);
        }
        head.set("Content-Encoding", "gzip");
        head.remove("Content-Length");
        // Its ranges would be those of the compressed form, which is made anew each time.
        head.remove("Accept-Ranges");
        weaken_etag(head);
        Ok(Some(Gzip(GzEncoder::new(
            Vec::new(),
            Compression::default(),
        ))))
    })
}

struct Gzip(GzEncoder<Vec<u8>>);

impl Filter for Gzip {
    fn block(&mut self, block: Vec<u8>) -> Result<Vec<u8>> {
        self.0.write_all(&block)?;
        self.0.flush()?;
        Ok(mem::take(self.0.get_mut()))
    }

    fn end(&mut self) -> Result<Vec<u8>> {
        self.0.try_finish()?;
        Ok(mem::take(self.0.get_mut()))
    }
}

/// Whether the client takes gzip, and would not rather have it as it is (RFC 9110, 12.5.3).
fn is_accepted(accept_encoding: &str) -> bool {
    let weight_of = |wanted: &[&str]| {
        accept_encoding.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next()?.to_ascii_lowercase();
            wanted.contains(&&*coding).then(|| weight(parts))
        })
    };
    let gzip = weight_of(&["gzip", "x-gzip"]).or_else(|| weight_of(&["*"]));
    let gzip = gzip.unwrap_or(0.0);
    gzip > 0.0 && weight_of(&["identity"]).is_none_or(|identity| identity <= gzip)
}

/// The `q` of a coding: 1 if there is none, and 0 if it cannot be read.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let q = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("q").then_some(value)
    });
    let q = q.map_or(Ok(1.0), str::parse);
    q.ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0)
}

fn is_worth_it(head: &Head) -> bool {
    // What the host produces should not pass through a guest.
    !head.is_host_body()
        && !matches!(head.code(), 204 | 206 | 304)
        && head.get("content-encoding").is_none()
        && head.get("content-type").is_some_and(is_compressible)
        && !head.get_all("cache-control").any(forbids)
        && head.body_length().is_none_or(|length| length >= SHORT)
}

/// Text of some kind; what else there is mostly is compressed by itself.
fn is_compressible(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let names = ["json", "javascript", "xml", "wasm"];
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || kind
            .strip_prefix("application/")
            .is_some_and(|name| names.contains(&name))
}

fn forbids(cache_control: &str) -> bool {
    let mut directives = cache_control.split(',').map(str::trim);
    directives.any(|directive| directive.eq_ignore_ascii_case("no-transform"))
}

fn vary(head: &mut Head) {
    let names: Vec<&str> = head
        .get_all("vary")
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let is_said = |name: &&str| *name == "*" || name.eq_ignore_ascii_case("accept-encoding");
    if !names.iter().any(is_said) {
        let names = [names.as_slice(), &["Accept-Encoding"]].concat().join(", ");
        head.set("Vary", &names);
    }
}

/// The compressed form is the same to a reader, but not byte for byte (RFC 9110, 8.8.1).
fn weaken_etag(head: &mut Head) {
    if let Some(strong) = head.get("etag").filter(|etag| etag.starts_with('"')) {
        let weak = format!("W/{strong}");
        head.set("ETag", &weak);
    }
}

wasm_gw_guest_middleware::export!(gzip);
