//! What the lint knows: each rule with its number in `docs/protocol.md`, and what to do.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A rule is broken: the host refused, cut off or replaced something.
    Error,
    /// It works here, and will not everywhere or not for everybody.
    Warning,
}

impl Level {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// A rule that the lint looks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// What to call it, for people and programs.
    pub name: &'static str,
    /// Its number in `docs/protocol.md`; those of the lint alone are of PEP 3333's validator.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What to do.
    pub mend: &'static str,
}

macro_rules! rules {
    ($($constant:ident = $name:literal, $id:literal, $level:ident, $mend:literal;)*) => {
        $(pub(super) const $constant: &Rule = &Rule {
            name: $name,
            id: $id,
            level: Level::$level,
            mend: $mend,
        };)*

        /// All that the lint looks for.
        pub const RULES: &[&Rule] = &[$($constant),*];
    };
}

rules! {
    BAD_STATUS = "bad-status", "A5", Error,
        "give three digits, one blank and a reason, as in \"200 OK\"; 200 to 599";
    STATUS_BLANK = "status-blank", "A5", Warning,
        "take the blanks off the end of the status";
    UNUSUAL_STATUS = "unusual-status", "1.4.3", Warning,
        "use a status of 200 to 599: proxies may refuse others";
    STATUS_FIELD = "status-field", "V31", Warning,
        "the status is the first argument of start-response, not a field: leave the field out";
    BAD_NAME = "bad-name", "A6", Error,
        "name fields by letters, digits and `-` only: no blank, no colon";
    ODD_NAME = "odd-name", "V33", Warning,
        "begin the name of a field with a letter, and use letters, digits, `-` and `_` only";
    NAME_ENDING = "name-ending", "V34", Warning,
        "do not end the name of a field in `-` or `_`";
    BAD_VALUE = "bad-value", "A6", Error,
        "take control characters out of the value: a line break would begin another field";
    TAB_IN_VALUE = "tab-in-value", "V35", Warning,
        "use a blank in place of the tab: other servers refuse it";
    NOT_LATIN1 = "not-latin1", "A18", Error,
        "encode text into bytes first, and hand over each byte as one character up to U+00FF";
    HOP_BY_HOP = "hop-by-hop", "A7", Error,
        "leave the field out: it is about the connection, which is the server's";
    BAD_LENGTH = "bad-content-length", "1.4.7", Error,
        "give Content-Length once, as a decimal number, or leave it to the server";
    TWO_LENGTHS = "two-content-lengths", "1.4.7", Warning,
        "give Content-Length once, or leave it to the server";
    HEAD_TOO_LARGE = "head-too-large", "1.4.4", Error,
        "send fewer or shorter fields";
    NO_CONTENT_TYPE = "no-content-type", "V36", Warning,
        "say what the body is by a Content-Type";
    CONTENT_TYPE_WITHOUT_BODY = "content-type-without-body", "V37", Warning,
        "leave Content-Type out of an answer that has no body";
    STARTED_TWICE = "started-twice", "A8", Error,
        "call start-response once; again only with the error that is the reason for it";
    WENT_ON = "went-on-after-headers-sent", "A10", Error,
        "raise the error that came back from start-response: the answer cannot be changed any more";
    NOT_STARTED = "not-started", "A4", Error,
        "call start-response before the first block that is not empty";
    TOO_LONG = "longer-than-content-length", "S45", Error,
        "send as many bytes as Content-Length says, or leave it out";
    TOO_SHORT = "shorter-than-content-length", "S46", Error,
        "send as many bytes as Content-Length says, or leave it out";
    WRITE_IN_BODY = "write-in-body", "A13", Error,
        "call write before the body is returned, not from inside of it: yield blocks there";
    BODY_WITHOUT_ROOM = "body-without-room", "1.5", Error,
        "return no body with 204 and 304: nobody gets it";
    EXCEPTION = "error-returned", "A19", Error,
        "catch the error, and answer with a page of your own";
    ENDED = "ended", "A19", Error,
        "see what the log of the request says; if it was a limit, raise it or do less";
    CLOSE_FAILED = "close-failed", "S41", Error,
        "let close succeed: whatever it should have given back is not";
}
