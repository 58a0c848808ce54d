//! What trusted proxies say of a client, and what is believed of it (protocol 2.6).
//!
//! Two kinds of fields say the same: Forwarded (RFC 7239) and X-Forwarded-For, -Proto, -Host. Each
//! proxy adds, to what it was sent, who its own peer is. So the chain of hops is read from its
//! end, which the proxy next to us has written, and only as far as trusted hops wrote it: what
//! stands before that is whatever a client cared to send. Which hops those are is in `trusted`;
//! the PROXY protocol, which speaks of a whole connection, is the server's.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use crate::connection::{ConnInfo, Endpoint, PublicUrl, RequestId, Scheme};
use crate::error::Refusal;
use crate::headers::is_token;
use crate::latin1;
use crate::target::Authority;
use crate::trusted::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most hops that are looked at. Real chains have a handful.
const MAX_HOPS: usize = 64;

/// What one kind of fields says. Each may be left unsaid.
#[derive(Debug, Default, PartialEq)]
struct Told<'a> {
    client: Option<Endpoint>,
    scheme: Option<Scheme>,
    host: Option<Cow<'a, str>>,
}

impl Told<'_> {
    /// None if it says nothing at all.
    fn anything(self) -> Option<Self> {
        (self != Told::default()).then_some(self)
    }
}

impl TrustedProxies {
    /// The connection that the client made, where the peer of this one is a trusted proxy and its
    /// request's fields say something about it. None where the connection that we see stands.
    ///
    /// # Errors
    ///
    /// 400 for what cannot be understood where a trusted proxy must have written it, and for fields
    /// that contradict each other: one of them is not the proxy's.
    pub fn believe(
        &self,
        conn: &ConnInfo,
        headers: &HeaderMap,
    ) -> Result<Option<ConnInfo>, Refusal> {
        if !self.trusts(&conn.remote) {
            return Ok(None);
        }
        let told = match (self.forwarded(headers)?, self.x_forwarded(headers)?) {
            (None, None) => return Ok(None),
            (Some(told), None) | (None, Some(told)) => told,
            (Some(forwarded), Some(x)) => agreed(forwarded, x)?,
        };
        let public = told.scheme.is_some() || told.host.is_some();
        Ok(Some(ConnInfo {
            scheme: told.scheme.unwrap_or(conn.scheme),
            local: conn.local.clone(),
            remote: told.client.unwrap_or_else(|| conn.remote.clone()),
            public: public.then(|| PublicUrl {
                host: told.host.as_deref().map(Arc::from),
            }),
        }))
    }

    /// X-Forwarded-*: a chain of clients, and a scheme and a host that have none and are the peer's
    /// own word.
    fn x_forwarded<'a>(&self, headers: &'a HeaderMap) -> Result<Option<Told<'a>>, Refusal> {
        let names = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
        if !names.iter().any(|name| headers.contains_key(name)) {
            return Ok(None);
        }
        let mut told = Told::default();
        for (hops, member) in members(headers, &X_FORWARDED_FOR).rev().enumerate() {
            if hops == MAX_HOPS {
                return Err(Refusal::bad_request("too many hops in X-Forwarded-For"));
            }
            let node = node(member)
                .ok_or_else(|| Refusal::bad_request("X-Forwarded-For names no address"))?;
            let further = self.trusts(&node);
            told.client = Some(node);
            if !further {
                break;
            }
        }
        if let Some(value) = one(headers, &X_FORWARDED_PROTO)? {
            told.scheme = Some(scheme(value)?);
        }
        if let Some(value) = one(headers, &X_FORWARDED_HOST)? {
            told.host = Some(Cow::Borrowed(host(value)?));
        }
        Ok(told.anything())
    }

    /// Forwarded: elements by hop. The client, the scheme and the host are those that the outermost
    /// trusted hop has seen; the elements before its own are not looked at, but have to be
    /// well-formed, or where one ends and the next begins would be a guess.
    fn forwarded<'a>(&self, headers: &'a HeaderMap) -> Result<Option<Told<'a>>, Refusal> {
        let mut elements = Vec::new();
        for value in headers.get_all(FORWARDED) {
            parse(value.as_bytes(), &mut elements)?;
        }
        let Some(mut seen) = elements.pop() else {
            return Ok(None);
        };
        let mut client = None;
        while let Some(named) = &seen.client {
            let node = node(named.as_bytes())
                .ok_or_else(|| Refusal::bad_request("Forwarded names no address in `for`"))?;
            let further = self.trusts(&node);
            client = Some(node);
            match elements.pop().filter(|_| further) {
                Some(next) => seen = next,
                None => break,
            }
        }
        let told = Told {
            client,
            scheme: seen
                .scheme
                .map(|text| scheme(text.as_bytes()))
                .transpose()?,
            host: match seen.host {
                Some(Cow::Borrowed(text)) => Some(Cow::Borrowed(host(text.as_bytes())?)),
                Some(Cow::Owned(text)) => Some(Cow::Owned(host(text.as_bytes())?.to_owned())),
                None => None,
            },
        };
        Ok(told.anything())
    }
}

impl RequestId {
    /// The id that a trusted proxy has given this request, if it has, and if it is one that can go
    /// into logs and pages as it is.
    pub fn told(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(X_REQUEST_ID).iter();
        let value = fields.next().filter(|_| fields.next().is_none())?;
        RequestId::parse(std::str::from_utf8(latin1::trim(value.as_bytes())).ok()?)
    }
}

/// Both kinds are there. A proxy writes one and may let the other pass as a client sent it, and no
/// reader can know which. So they have to say the same of everything.
fn agreed<'a>(forwarded: Told<'a>, x: Told<'a>) -> Result<Told<'a>, Refusal> {
    let differ = |what: &str| {
        Err(Refusal::bad_request(format!(
            "Forwarded and X-Forwarded-* do not say the same of the {what}: let the proxy send one \
             kind and remove the other"
        )))
    };
    let client = match (forwarded.client, x.client) {
        (None, None) => None,
        (Some(one), Some(other)) => match same(one, other) {
            Some(both) => Some(both),
            None => return differ("client"),
        },
        _ => return differ("client"),
    };
    if forwarded.scheme != x.scheme {
        return differ("scheme");
    }
    let same_host = match (&forwarded.host, &x.host) {
        (None, None) => true,
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    if !same_host {
        return differ("host");
    }
    Ok(Told {
        client,
        scheme: x.scheme,
        host: x.host,
    })
}

/// Two names of one end, as the one that says more.
fn same(one: Endpoint, other: Endpoint) -> Option<Endpoint> {
    match (one.ip(), other.ip()) {
        (Some(ip), Some(same)) if ip == same => match (one.port(), other.port()) {
            (Some(port), Some(another)) if port != another => None,
            (Some(_), _) => Some(one),
            (None, _) => Some(other),
        },
        (None, None) => (one == other).then_some(one),
        _ => None,
    }
}

/// The members of a field's list, its lines together, without empty ones (RFC 9110 5.6.1).
fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(latin1::trim)
        .filter(|member| !member.is_empty())
}

/// What a field says once, or several times the same.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Refusal> {
    let mut members = members(headers, name);
    let Some(first) = members.next() else {
        return Ok(None);
    };
    if members.all(|other| other.eq_ignore_ascii_case(first)) {
        Ok(Some(first))
    } else {
        Err(Refusal::bad_request(format!("{name} contradicts itself")))
    }
}

fn scheme(text: &[u8]) -> Result<Scheme, Refusal> {
    for scheme in [Scheme::Http, Scheme::Https] {
        if text.eq_ignore_ascii_case(scheme.as_str().as_bytes()) {
            return Ok(scheme);
        }
    }
    Err(Refusal::bad_request(
        "a proxy tells a scheme that is neither http nor https",
    ))
}

fn host(text: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(text)
        .ok()
        .filter(|text| Authority::parse(text).is_some())
        .ok_or_else(|| Refusal::bad_request("a proxy tells a host that is none"))
}

/// Who is at the other end of a hop (RFC 7239 6): an address, perhaps with a port, or a name that
/// says nothing: `unknown`, or one that begins with `_`. Of X-Forwarded-For also IPv6 without
/// brackets, and the `unix:` that nginx writes for a unix socket.
fn node(text: &[u8]) -> Option<Endpoint> {
    if text == b"unix:" {
        return Some(Endpoint::Unix);
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Endpoint::Ip(address.to_canonical()));
    }
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let address = address.parse::<Ipv6Addr>().ok()?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':')?),
            };
            (Some(IpAddr::V6(address)), port)
        }
        None => {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
                (None, port)
            } else {
                (Some(name.parse::<IpAddr>().ok()?), port)
            }
        }
    };
    let port = match port {
        None => None,
        Some(hidden) if is_obfuscated(hidden) => None,
        // `parse` alone would take `+80`.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok()?)
        }
        Some(_) => return None,
    };
    Some(match (name.map(|address| address.to_canonical()), port) {
        (Some(address), Some(port)) => Endpoint::Tcp((address, port).into()),
        (Some(address), None) => Endpoint::Ip(address),
        (None, _) => Endpoint::Unknown,
    })
}

/// A name that a proxy has made up (RFC 7239 6.3).
fn is_obfuscated(name: &str) -> bool {
    name.strip_prefix('_').is_some_and(|rest| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !rest.is_empty() && rest.bytes().all(plain)
    })
}

/// What one hop says in Forwarded, not looked into.
#[derive(Debug, Default)]
struct Element<'a> {
    client: Option<Cow<'a, str>>,
    scheme: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
}

/// Adds the elements of one Forwarded field (RFC 7239 4), strictly: a quote that a client has left
/// open must not swallow what a proxy added behind it. Blanks around `;` are taken, since some send
/// them and they can mean nothing else.
fn parse<'a>(field: &'a [u8], elements: &mut Vec<Element<'a>>) -> Result<(), Refusal> {
    let broken = || Refusal::bad_request("Forwarded is broken");
    // What is beyond ASCII is in no token, and in no name of anybody.
    let mut rest = std::str::from_utf8(latin1::trim(field)).map_err(|_| broken())?;
    let mut element = Element::default();
    let mut said_anything = false;
    loop {
        rest = skip_blanks(rest);
        let end = match rest.as_bytes().first() {
            None => true,
            Some(b',') => true,
            Some(b';') => {
                rest = &rest[1..];
                said_anything = true;
                continue;
            }
            Some(_) => false,
        };
        if end {
            if said_anything {
                if elements.len() == MAX_HOPS {
                    return Err(Refusal::bad_request("too many hops in Forwarded"));
                }
                elements.push(std::mem::take(&mut element));
                said_anything = false;
            }
            match rest.get(1..) {
                None => return Ok(()),
                Some(next) => rest = next,
            }
            continue;
        }
        let (name, after) = rest.split_once('=').ok_or_else(broken)?;
        if !is_token(name.as_bytes()) {
            return Err(broken());
        }
        let (value, after) = value(after).ok_or_else(broken)?;
        rest = skip_blanks(after);
        if !matches!(rest.as_bytes().first(), None | Some(b',' | b';')) {
            return Err(broken());
        }
        said_anything = true;
        let place = match name {
            _ if name.eq_ignore_ascii_case("for") => &mut element.client,
            _ if name.eq_ignore_ascii_case("proto") => &mut element.scheme,
            _ if name.eq_ignore_ascii_case("host") => &mut element.host,
            // `by`, and extensions.
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(Refusal::bad_request("a parameter of Forwarded comes twice"));
        }
    }
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ', '\t']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return is_token(token.as_bytes()).then_some((Cow::Borrowed(token), rest));
    };
    let mut unescaped: Option<String> = None;
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let value = match unescaped {
                    Some(text) => Cow::Owned(text),
                    None => Cow::Borrowed(&quoted[..at]),
                };
                return Some((value, &quoted[at + 1..]));
            }
            '\\' => {
                let (_, escaped) = characters.next()?;
                unescaped
                    .get_or_insert_with(|| quoted[..at].to_owned())
                    .push(escaped);
            }
            other => {
                if let Some(text) = &mut unescaped {
                    text.push(other);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
