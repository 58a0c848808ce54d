//! From a request's head to its environ (protocol 2.1 and 2.3).
//!
//! It trusts nothing that the client sent to be well-formed beyond what `http` ensures.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderName, Method, StatusCode, Version, request};

use super::{Environ, VarError};
use crate::connection::{ConnInfo, RequestId, Scheme};
use crate::error::Refusal;
use crate::headers::{named_in_connection, variable};
use crate::latin1;
use crate::mount::Split;
use crate::request::content_length;
use crate::target::{Authority, Target};

/// What environ says that is not in the request's head.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The connection.
    pub conn: &'a ConnInfo,
    /// `wasm_gw.request_id`.
    pub request_id: &'a RequestId,
    /// SERVER_NAME for requests without a host, as configured.
    pub server_name: Option<&'a str>,
    /// SERVER_SOFTWARE, the text of the Server field: `wasm-gw/1.2.3`.
    pub server_software: &'a str,
    /// `wasm_gw.app`.
    pub app: &'a str,
    /// The deployer's own variables (S16). They never replace one of the request's, and
    /// what [`Environ::check_extra`] refuses is left out.
    pub extra: &'a [(String, String)],
}

/// Room for the fixed variables, so that the vector is allocated once.
const FIXED: usize = 22;

impl Environ {
    /// The environ of a request whose target was accepted and whose path was split.
    ///
    /// # Errors
    ///
    /// 400 for what only shows here: a second Content-Type or Authorization, a broken
    /// Content-Length, HTTP/0.9. 431 beyond [`Environ::MAX_VARS`] or [`Environ::MAX_BYTES`].
    pub fn build(
        parts: &request::Parts,
        target: &Target<'_>,
        split: Split,
        facts: &Facts<'_>,
    ) -> Result<Environ, Refusal> {
        let room = FIXED + parts.headers.keys_len() + facts.extra.len();
        let mut environ = Environ::with_capacity(room.min(Environ::MAX_VARS));
        let mount = split.script_name.clone();
        single_authorization(parts)?;
        let content_type = content_type(parts)?;
        let content_length = content_length(&parts.headers)?;
        let protocol = protocol(parts.version)?;
        let public = public_host(facts.conn);
        let authority = public.as_ref().or(target.authority.as_ref());

        environ.push("REQUEST_METHOD", method(&parts.method))?;
        environ.push("SCRIPT_NAME", split.script_name)?;
        environ.push("PATH_INFO", split.path_info)?;
        environ.push(
            "QUERY_STRING",
            latin1::from_utf8_text(target.query).into_owned(),
        )?;
        if let Some(value) = content_type {
            environ.push("CONTENT_TYPE", value)?;
        }
        if let Some(length) = content_length {
            environ.push("CONTENT_LENGTH", length.to_string())?;
        }
        environ.push("SERVER_NAME", server_name(authority, facts))?;
        let port = server_port(authority, facts.conn);
        environ.push("SERVER_PORT", port.to_string())?;
        environ.push("SERVER_PROTOCOL", protocol)?;
        environ.push("SERVER_SOFTWARE", native(facts.server_software))?;
        environ.push("GATEWAY_INTERFACE", "CGI/1.1")?;
        if let Some(address) = facts.conn.remote.ip() {
            environ.push("REMOTE_ADDR", address.to_string())?;
        }
        if let Some(port) = facts.conn.remote.port() {
            environ.push("REMOTE_PORT", port.to_string())?;
        }
        environ.push("REQUEST_URI", target.uri.clone().into_owned())?;
        environ.push("RAW_URI", target.uri.clone().into_owned())?;
        environ.push("REQUEST_SCHEME", facts.conn.scheme.as_str())?;
        if facts.conn.scheme == Scheme::Https {
            environ.push("HTTPS", "on")?;
        }
        environ.push("wsgi.url_scheme", facts.conn.scheme.as_str())?;
        environ.push("wasm_gw.request_id", facts.request_id.as_str().to_owned())?;
        environ.push("wasm_gw.app", native(facts.app))?;
        environ.push("wasm_gw.mount", mount)?;
        environ.push_fields(parts, authority)?;
        environ.push_extra(facts.extra)?;
        Ok(environ)
    }

    /// The `HTTP_*` variables.
    fn push_fields(
        &mut self,
        parts: &request::Parts,
        authority: Option<&Authority<'_>>,
    ) -> Result<(), VarError> {
        if let Some(authority) = authority {
            self.push("HTTP_HOST", native(&authority.verbatim))?;
        }
        let hidden = named_in_connection(&parts.headers);
        let is_hidden = |name: &HeaderName| {
            hidden
                .binary_search_by(|hidden| hidden.as_str().cmp(name.as_str()))
                .is_ok()
        };
        // The values of one name follow each other.
        let mut last: Option<&HeaderName> = None;
        for (name, value) in &parts.headers {
            let value = latin1::trim(value.as_bytes());
            if last == Some(name) {
                let separator = if *name == COOKIE { "; " } else { "," };
                self.extend_last(separator, value)?;
                continue;
            }
            let variable = match *name {
                CONTENT_TYPE | CONTENT_LENGTH | HOST => None,
                _ if is_hidden(name) => None,
                _ => variable(name.as_str()),
            };
            if let Some(variable) = variable {
                self.push(variable, latin1::from_bytes(value).into_owned())?;
                last = Some(name);
            }
        }
        Ok(())
    }

    fn push_extra(&mut self, extra: &[(String, String)]) -> Result<(), VarError> {
        for (name, value) in extra {
            if Environ::check_extra(name, value).is_ok() && self.position(name).is_none() {
                self.push(name.clone(), value.clone())?;
            }
        }
        Ok(())
    }
}

fn method(method: &Method) -> Cow<'static, str> {
    Cow::Borrowed(match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => return Cow::Owned(method.as_str().to_owned()),
    })
}

fn protocol(version: Version) -> Result<&'static str, Refusal> {
    match version {
        Version::HTTP_10 => Ok("HTTP/1.0"),
        Version::HTTP_11 => Ok("HTTP/1.1"),
        Version::HTTP_2 => Ok("HTTP/2.0"),
        Version::HTTP_3 => Ok("HTTP/3.0"),
        _ => Err(Refusal::bad_request("an HTTP version that is not spoken")),
    }
}

fn content_type(parts: &request::Parts) -> Result<Option<String>, Refusal> {
    let mut fields = parts.headers.get_all(CONTENT_TYPE).iter();
    let first = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::bad_request("two Content-Type fields"));
    }
    Ok(first.map(|value| latin1::from_bytes(latin1::trim(value.as_bytes())).into_owned()))
}

fn single_authorization(parts: &request::Parts) -> Result<(), Refusal> {
    if parts.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Refusal::bad_request("two Authorization fields"));
    }
    Ok(())
}

/// The host that a trusted proxy has told. It goes before what the request says itself.
fn public_host(conn: &ConnInfo) -> Option<Authority<'_>> {
    let public = conn.public.as_ref()?;
    Authority::parse(public.host.as_deref()?)
}

/// Never empty (S7): the host the client named, the configured name, or the address it
/// reached us at.
fn server_name(authority: Option<&Authority<'_>>, facts: &Facts<'_>) -> String {
    let named = authority
        .map(|authority| authority.host.strip_suffix('.').unwrap_or(authority.host))
        .filter(|host| !host.is_empty());
    if let Some(host) = named {
        return host.to_ascii_lowercase();
    }
    if let Some(name) = facts.server_name.filter(|name| !name.is_empty()) {
        return native(name).into_owned();
    }
    match facts.conn.local.ip() {
        Some(IpAddr::V4(address)) => address.to_string(),
        // RFC 3875 4.1.14; without brackets no URL could be rebuilt from it.
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        None => "localhost".to_owned(),
    }
}

/// The port of the socket, not what Host says it is; but for a unix socket, which has none, and
/// behind a proxy that tells the URL, which does not lead to our socket.
fn server_port(authority: Option<&Authority<'_>>, conn: &ConnInfo) -> u16 {
    match (conn.local.port(), &conn.public) {
        (Some(port), None) => port,
        (_, Some(_)) | (None, None) => authority
            .and_then(|authority| authority.port)
            .unwrap_or(conn.scheme.default_port()),
    }
}

/// An environ that outgrew its caps can only have done so by what the client sent.
impl From<VarError> for Refusal {
    fn from(error: VarError) -> Self {
        Refusal::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            error.to_string(),
        )
    }
}

/// Text of ours as a native string: UTF-8 bytes where it is not one already.
fn native(text: &str) -> Cow<'static, str> {
    Cow::Owned(latin1::from_utf8_text(text).into_owned())
}
