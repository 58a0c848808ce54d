//! Properties that hold for every request, every application and every way a body may be
//! cut: what no list of examples covers. One module each.

#[path = "properties/environ.rs"]
mod environ;
#[path = "properties/exchange.rs"]
mod exchange;
#[path = "properties/forwarded.rs"]
mod forwarded;
#[path = "properties/input.rs"]
mod input;
#[path = "properties/mount.rs"]
mod mount;

/// Percent-decoding, written a second time and plainly: what our crates' is held against.
fn decoded(raw: &str) -> Vec<u8> {
    let bytes = raw.as_bytes();
    let digit = |index: usize| bytes.get(index).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
