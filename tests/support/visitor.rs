//! Somebody who visits a site: keeps its cookies, fills in its forms, sends files.

use std::collections::BTreeMap;

use crate::{Response, TestServer};

/// Visits one server, each request on a connection of its own.
pub struct Visitor<'a> {
    server: &'a TestServer,
    pub cookies: BTreeMap<String, String>,
}

impl<'a> Visitor<'a> {
    pub fn of(server: &'a TestServer) -> Self {
        Self {
            server,
            cookies: BTreeMap::new(),
        }
    }

    pub async fn get(&mut self, target: &str) -> Response {
        self.get_with(target, &[]).await
    }

    /// With these fields in the head.
    pub async fn get_with(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        self.request("GET", target, fields, b"").await
    }

    /// A form as browsers send it if nothing else is said.
    pub async fn submit(&mut self, target: &str, values: &[(&str, &str)]) -> Response {
        let pairs = values
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        self.request("POST", target, &kind, body.as_bytes()).await
    }

    /// A form with a file, as `multipart/form-data`.
    pub async fn upload(&mut self, target: &str, values: &[(&str, &str)], file: &[u8]) -> Response {
        let mut body = Vec::new();
        for (name, value) in values {
            body.extend_from_slice(
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
                .as_bytes(),
            );
        }
        body.extend_from_slice(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a file.bin\"\r\n\
                 Content-Type: application/x-thing\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.request("POST", target, &[("Content-Type", &kind)], &body)
            .await
    }

    async fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n",
            self.server.address
        );
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if method != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        let mut request = format!("{head}\r\n").into_bytes();
        request.extend_from_slice(body);
        let response = self.server.send(&request).await;
        for cookie in response.all("set-cookie") {
            self.keep(cookie);
        }
        response
    }

    fn keep(&mut self, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let over = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
        if over {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn escaped(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

const BOUNDARY: &str = "----visitor7MA4YWxkTrZu0gW";

/// What a page has in a field of a form.
#[track_caller]
pub fn value_of(page: &Response, field: &str) -> String {
    let html = page.text();
    let Some((_, rest)) = html.split_once(&format!("name=\"{field}\" value=\"")) else {
        panic!("no field `{field}` in {html}");
    };
    rest.split('"').next().unwrap().to_owned()
}

/// So many bytes that are not all the same.
pub fn bytes(count: usize) -> Vec<u8> {
    let cycle: Vec<u8> = (0..251_u32)
        .map(|number| (number * 31 % 251) as u8)
        .collect();
    cycle.iter().copied().cycle().take(count).collect()
}
