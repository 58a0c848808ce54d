//! Request targets and Host (protocol 2.4): what a request says it wants, accepted or
//! refused. Which application gets it is decided in `mount`.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::header::HOST;
use http::{HeaderMap, Method, StatusCode, Version, request, uri};

use crate::connection::Scheme;
use crate::error::Refusal;
use crate::latin1;

/// An accepted request target together with its authority. Borrowed from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The target as received, for REQUEST_URI; a native string. The fragment, which is
    /// not allowed there, was cut by the parser.
    pub uri: Cow<'a, str>,
    /// The path as received: still encoded, starts with `/`. `*` if [`Target::asterisk`],
    /// which no mount matches.
    pub path: &'a str,
    /// What follows the first `?`, undecoded; empty if there is none.
    pub query: &'a str,
    /// That of an absolute-form target, else Host's. None only without a Host field.
    pub authority: Option<Authority<'a>>,
    /// `OPTIONS *`: for the server itself to answer (204 with `Allow`).
    pub asterisk: bool,
}

/// A host and perhaps a port, checked against the grammar of protocol 2.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// As received: HTTP_HOST.
    pub verbatim: Cow<'a, str>,
    /// Without the port, as received. Empty for an empty Host.
    pub host: &'a str,
    /// None for `example.com` and for `example.com:`.
    pub port: Option<u16>,
}

impl<'a> Target<'a> {
    /// Accepts or refuses the target and the Host field of a request that came over a
    /// connection of this scheme.
    ///
    /// # Errors
    ///
    /// 421 for `https://` on a plain connection (RFC 9110 7.4), 400 for all else.
    pub fn parse(parts: &'a request::Parts, scheme: Scheme) -> Result<Self, Refusal> {
        let host = host_field(&parts.headers)?;
        // The server library checks neither this (RFC 9112 3.2) nor what is below.
        if host.is_none() && parts.version == Version::HTTP_11 {
            return Err(Refusal::bad_request("no Host field"));
        }

        let uri = &parts.uri;
        let named = match (uri.scheme(), uri.authority()) {
            (Some(named), Some(authority)) => {
                check_scheme(named, scheme)?;
                Some(absolute_authority(authority.as_str(), host.as_ref())?)
            }
            (Some(_), None) => return Err(Refusal::bad_request("a target without a host")),
            (None, Some(_)) => return Err(Refusal::bad_request("a target in authority-form")),
            (None, None) => None,
        };
        // RFC 9113 8.3.1: in HTTP/2 one of the two will do.
        if named.is_none() && host.is_none() && parts.version > Version::HTTP_11 {
            return Err(Refusal::bad_request("neither :authority nor Host"));
        }

        let path = uri.path();
        let asterisk = path == "*";
        if asterisk && parts.method != Method::OPTIONS {
            return Err(Refusal::bad_request("`*` is for OPTIONS"));
        }
        if !asterisk && !path.starts_with('/') {
            return Err(Refusal::bad_request("the target does not start with `/`"));
        }
        if path.contains("%00") {
            // Guests written in C would see the path end there.
            return Err(Refusal::bad_request("%00 in the path"));
        }
        Ok(Target {
            uri: as_received(parts),
            path,
            query: uri.query().unwrap_or(""),
            authority: named.or(host),
            asterisk,
        })
    }
}

impl<'a> Authority<'a> {
    /// `[IPv6]`, IPv4 or a name, then nothing, `:` or `:port`.
    ///
    /// A name is labels of `A-Za-z0-9-_~` with dots between them, of which only the last
    /// may be empty. None for all else, the empty string included.
    pub fn parse(text: &'a str) -> Option<Self> {
        let host_len = if text.starts_with('[') {
            let end = text.find(']')?;
            text.get(1..end)?.parse::<Ipv6Addr>().ok()?;
            end + 1
        } else {
            let end = text.find(':').unwrap_or(text.len());
            if !is_host_name(text.get(..end)?) {
                return None;
            }
            end
        };
        let (host, rest) = text.split_at_checked(host_len)?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            Some("") => None,
            // `parse` alone would take `+80`.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Authority {
            verbatim: Cow::Borrowed(text),
            host,
            port,
        })
    }
}

fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~'))
        })
}

/// The Host field: none, one that is empty, or one that is an authority.
fn host_field(headers: &HeaderMap) -> Result<Option<Authority<'_>>, Refusal> {
    let mut fields = headers.get_all(HOST).iter();
    let Some(value) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(Refusal::bad_request("two Host fields"));
    }
    let text = std::str::from_utf8(latin1::trim(value.as_bytes())).unwrap_or("\u{fffd}");
    if text.is_empty() {
        return Ok(Some(Authority {
            verbatim: Cow::Borrowed(""),
            host: "",
            port: None,
        }));
    }
    match Authority::parse(text) {
        Some(authority) => Ok(Some(authority)),
        None => Err(Refusal::bad_request("Host is not a host")),
    }
}

/// The authority of an absolute-form target, which outranks Host (RFC 9112 3.2.2).
fn absolute_authority<'a>(
    text: &'a str,
    host: Option<&Authority<'_>>,
) -> Result<Authority<'a>, Refusal> {
    if host.is_some_and(|host| host.verbatim.is_empty()) {
        // Empty means: the target has no authority (RFC 9112 3.2).
        return Err(Refusal::bad_request("an empty Host next to an authority"));
    }
    Authority::parse(text).ok_or_else(|| Refusal::bad_request("the target's host is not a host"))
}

fn check_scheme(named: &uri::Scheme, connection: Scheme) -> Result<(), Refusal> {
    match named.as_str() {
        "http" => Ok(()),
        "https" if connection == Scheme::Https => Ok(()),
        "https" => Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "an https target on a plain connection",
        )),
        _ => Err(Refusal::bad_request("a target of another scheme")),
    }
}

fn as_received(parts: &request::Parts) -> Cow<'_, str> {
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    match (parts.uri.scheme_str(), parts.uri.authority()) {
        // In HTTP/2 the two are pseudo-fields of their own, and the target is `:path`.
        (Some(scheme), Some(authority)) if parts.version <= Version::HTTP_11 => {
            let mut uri =
                String::with_capacity(scheme.len() + 3 + authority.as_str().len() + path.len());
            for part in [scheme, "://", authority.as_str()] {
                uri.push_str(part);
            }
            latin1::push(&mut uri, path.as_bytes());
            Cow::Owned(uri)
        }
        _ => latin1::from_utf8_text(path),
    }
}

#[cfg(test)]
mod tests;
