//! The one table of the variables that environ has. The documentation's table is held
//! against it, and it is held against what [`Environ::build`](super::Environ::build) does.

/// A variable of environ, for people to read about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name. `HTTP_*` stands for a variable a header field.
    pub name: &'static str,
    /// What the value is.
    pub value: &'static str,
    /// When it is there.
    pub presence: Presence,
}

/// When a variable is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In every request.
    Always,
    /// Only on this condition.
    When(&'static str),
}

/// All string variables (S12), in the order of [`Environ::iter`](super::Environ::iter).
pub const VARIABLES: &[Variable] = &[
    always("REQUEST_METHOD", "the method as sent, case and all"),
    always("SCRIPT_NAME", "the mount, decoded; empty at the root"),
    always("PATH_INFO", "the rest of the path, percent-decoded"),
    always(
        "QUERY_STRING",
        "what follows the first `?`, not decoded; may be empty",
    ),
    when(
        "CONTENT_TYPE",
        "the Content-Type field",
        "the request has the field",
    ),
    when(
        "CONTENT_LENGTH",
        "the length of the body in decimal digits",
        "the request has a Content-Length and no Transfer-Encoding",
    ),
    always(
        "SERVER_NAME",
        "the host that a trusted proxy tells, else of the target or of Host, lower-case, without port \
         and final dot, IPv6 in brackets; else the configured name, else the local address",
    ),
    always(
        "SERVER_PORT",
        "the local port; on a unix socket, and where a trusted proxy tells the scheme or the host, \
         that of the host, else 80 or 443",
    ),
    always("SERVER_PROTOCOL", "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`"),
    always("SERVER_SOFTWARE", "`wasm-gw/` and the version"),
    always("GATEWAY_INTERFACE", "`CGI/1.1`"),
    when(
        "REMOTE_ADDR",
        "the client's IP address, without brackets and zone",
        "the client came over TCP, or a trusted proxy tells its address",
    ),
    when(
        "REMOTE_PORT",
        "the client's port",
        "the client came over TCP, or a trusted proxy tells its port too",
    ),
    always("REQUEST_URI", "the request target as sent, not decoded"),
    always("RAW_URI", "the same as REQUEST_URI"),
    always("REQUEST_SCHEME", "`http` or `https`"),
    when("HTTPS", "`on`", "the scheme is `https`"),
    always("wsgi.url_scheme", "`http` or `https`"),
    always(
        "wasm_gw.request_id",
        "the id that log lines and error pages show",
    ),
    always("wasm_gw.app", "the application's name"),
    always(
        "wasm_gw.mount",
        "the mount; SCRIPT_NAME before anyone rewrote it",
    ),
    when(
        "HTTP_HOST",
        "the host that a trusted proxy tells, else the authority of an absolute-form target, else \
         Host, as sent",
        "the request has one: always, but for HTTP/1.0",
    ),
    when(
        "HTTP_*",
        "a header field, its name in upper case with `_` for `-`; several of one name are \
         joined with `,`, Cookie with `; `",
        "the request has the field, its name is of letters, digits and hyphens, and it is \
         about the request, not the connection",
    ),
];

const fn always(name: &'static str, value: &'static str) -> Variable {
    Variable {
        name,
        value,
        presence: Presence::Always,
    }
}

const fn when(name: &'static str, value: &'static str, condition: &'static str) -> Variable {
    Variable {
        name,
        value,
        presence: Presence::When(condition),
    }
}
