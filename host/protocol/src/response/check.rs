//! Protocol 1.4, items 3 to 9: from the strings an application gave to a head that can be
//! sent. Always on: none of it is for debugging, all of it keeps responses from being split.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Reason, ResponseLimits, StartError};
use crate::headers::{is_hop_by_hop_in_response, is_token};
use crate::latin1;
use crate::request::parse_length;
use crate::weaken::weak;

/// A head whose every part is valid.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) status: StatusCode,
    /// Only if it is not the usual one.
    pub(super) reason: Option<Reason>,
    /// With a Content-Length of whatever rendering where the application gave one.
    pub(super) headers: HeaderMap,
    pub(super) content_length: Option<u64>,
}

pub(super) fn check_head<'a>(
    status: &str,
    headers: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    limits: &ResponseLimits,
) -> Result<Checked, StartError> {
    let (code, reason) = check_status(status)?;
    if headers.len() > limits.fields {
        return Err(StartError::TooLarge);
    }

    let mut checked = Checked {
        status: code,
        reason,
        headers: HeaderMap::with_capacity(headers.len() + 2),
        content_length: None,
    };
    // Sizes outrank what is wrong with a field (1.4.4), so they are added up to the end,
    // and only then is the first fault told.
    let mut size = status.chars().count();
    let mut fault = None;
    for (name, value) in headers {
        size = size.saturating_add(name.chars().count() + 2 + value.chars().count());
        if size > limits.header_section {
            return Err(StartError::TooLarge);
        }
        if fault.is_none() {
            fault = checked.add(name, value).err();
        }
    }
    match fault {
        Some(fault) => Err(fault),
        None => Ok(checked),
    }
}

/// 1.4.3: three ASCII digits, a blank, a reason that may be empty; 200 to 999.
fn check_status(status: &str) -> Result<(StatusCode, Option<Reason>), StartError> {
    let bad = || StartError::BadStatus(excerpt(status));
    let Some(bytes) = latin1::to_bytes(status) else {
        return Err(StartError::NotLatin1("status".to_owned()));
    };
    // Tabs too, which a field value may have: a reason phrase is nobody's to align.
    if bytes.iter().any(u8::is_ascii_control) && !weak("head-checks") {
        return Err(bad());
    }
    let [a, b, c, b' ', reason @ ..] = &*bytes else {
        return Err(bad());
    };
    // `from_bytes` takes three digits from 100; 1xx are not final responses, and 101 would
    // change what the connection is.
    let code = StatusCode::from_bytes(&[*a, *b, *c]).map_err(|_| bad())?;
    if code.is_informational() {
        return Err(bad());
    }
    let usual = code.canonical_reason().map(str::as_bytes);
    let reason = (usual != Some(reason)).then(|| Reason(Bytes::copy_from_slice(reason)));
    Ok((code, reason))
}

impl Checked {
    /// 1.4.5 to 1.4.7, and 1.4.9: fields of one name keep their order, none is merged.
    fn add(&mut self, name: &str, text: &str) -> Result<(), StartError> {
        let name = check_name(name)?;
        let value = check_value(&name, text)?;
        if name == CONTENT_LENGTH {
            let length = parse_length(value.as_bytes());
            let differs = self.content_length.is_some() && self.content_length != length;
            if length.is_none() || differs {
                return Err(StartError::BadContentLength(excerpt(text)));
            }
            self.content_length = length;
            self.headers.insert(name, value);
            return Ok(());
        }
        // Fails beyond 2^15 fields, which a limit may have been set above.
        self.headers
            .try_append(name, value)
            .map(|_| ())
            .map_err(|_| StartError::TooLarge)
    }
}

fn check_name(name: &str) -> Result<HeaderName, StartError> {
    if !latin1::is_native(name) {
        return Err(StartError::NotLatin1(excerpt(name)));
    }
    let bad = || StartError::BadHeaderName(excerpt(name));
    if !is_token(name.as_bytes()) {
        return Err(bad());
    }
    if is_hop_by_hop_in_response(name) {
        return Err(StartError::HopByHop(name.to_owned()));
    }
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())
}

fn check_value(name: &HeaderName, value: &str) -> Result<HeaderValue, StartError> {
    let Some(bytes) = latin1::to_bytes(value) else {
        return Err(StartError::NotLatin1(excerpt(name.as_str())));
    };
    let bad = || StartError::BadHeaderValue(excerpt(name.as_str()));
    // Before trimming and on our own account: no change in a library may let CR or LF by.
    if bytes
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err(bad());
    }
    HeaderValue::from_bytes(latin1::trim(&bytes)).map_err(|_| bad())
}

/// Enough of a text to recognise it by.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
