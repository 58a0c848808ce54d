//! The things of a registry as plain values. How they are kept is in `meta`, a file a table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A moment, in milliseconds since 1970 in UTC.
pub type Millis = i64;

/// Who has apps. Tenants share a host and know nothing of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The number of its row.
    pub id: i64,
    /// What it is called, as [`check_name`](crate::check_name) has it; no other has this name.
    pub name: String,
    /// When it was made.
    pub created: Millis,
}

/// An application of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The number of its row.
    pub id: i64,
    /// Whose it is.
    pub tenant: i64,
    /// What it is called, as [`check_name`](crate::check_name) has it; no other of its tenant has this name.
    pub name: String,
    /// When it was made.
    pub created: Millis,
    /// Whether its tenant wants it to serve nothing for now.
    pub stopped: bool,
    /// When it was deleted. It can be restored until it is purged.
    pub deleted: Option<Millis>,
    /// The row of the version that is served, if there was one yet.
    pub current: Option<i64>,
    /// Its host name under the default domain; no other app has it.
    pub label: String,
    /// Counts changes of the app, for conditional requests.
    pub revision: i64,
}

/// A component with its configuration. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The number of its row.
    pub id: i64,
    /// Whose it is.
    pub app: i64,
    /// Counts the versions of the app, from 1. None is given twice.
    pub number: i64,
    /// Names the blob.
    pub component: Digest,
    /// Of the component, in bytes.
    pub size: u64,
    /// JSON, which the registry does not read.
    pub config: String,
    /// When it was added.
    pub created: Millis,
    /// The id of the token that added it.
    pub by: String,
}

/// What [`add_version`](crate::Registry::add_version) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// What [`finish`](crate::Upload::finish) said, or the component of another version.
    pub component: Digest,
    /// Of the component, in bytes.
    pub size: u64,
    /// JSON, which the registry does not read.
    pub config: String,
    /// The id of the token.
    pub by: String,
}

/// An attempt to make a version current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// `dep_` and 16 hexadecimal digits.
    pub id: String,
    /// Of which app.
    pub app: i64,
    /// What was asked for: `push`, `config`, `promote` or `rollback`. The last one is how
    /// [`make_current`](crate::Registry::make_current) knows a way back from a way forward.
    pub kind: String,
    /// How far it is.
    pub state: DeploymentState,
    /// The number of the version, once it is known.
    pub version: Option<i64>,
    /// JSON: why it failed.
    pub problem: Option<String>,
    /// When it began.
    pub created: Millis,
    /// When it came to its end.
    pub finished: Option<Millis>,
    /// The id of the token that asked for it.
    pub by: String,
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentState {
    /// It waits for others.
    Queued,
    /// The component is looked at.
    Checking,
    /// It is being compiled.
    Compiling,
    /// The new version is asked for its health.
    Probing,
    /// It came to a good end.
    Live,
    /// It came to a bad end; see [`Deployment::problem`].
    Failed,
    /// The host ended before it did.
    Interrupted,
}

impl DeploymentState {
    /// Whether nothing follows it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Live | Self::Failed | Self::Interrupted)
    }
}

/// A place where an app is served, or where its tenant wants it to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// `dom_` and 16 hexadecimal digits.
    pub id: String,
    /// Who claims it.
    pub tenant: i64,
    /// For which app.
    pub app: i64,
    /// In lower case; `*.x` stands for all directly below `x`.
    pub host: String,
    /// Empty for the whole host, or one like `/a/b`.
    pub path: String,
    /// What the tenant must show there to prove that the host is its own.
    pub challenge: String,
    /// When that was seen. Until then nothing is served there.
    pub verified: Option<Millis>,
    /// When it was claimed.
    pub created: Millis,
}

/// What a token may do, the least first: each has all rights before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See.
    Read,
    /// Add versions and make them current.
    Deploy,
    /// Everything within the tenant.
    Admin,
}

/// Who may do what. The secret itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// `tok_` and 16 hexadecimal digits.
    pub id: String,
    /// Whose it is; `None` for one of an operator of the host.
    pub tenant: Option<i64>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub right: Right,
    /// When it was made.
    pub created: Millis,
    /// Since when it is good for nothing, if it ever is.
    pub expires: Option<Millis>,
    /// When it was taken back.
    pub revoked: Option<Millis>,
    /// When it was last used, to the minute.
    pub last_used: Option<Millis>,
}

/// An app that a host is to serve, with all that it needs for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The name of its tenant.
    pub tenant: String,
    /// The app. It may be stopped.
    pub app: App,
    /// Its current version.
    pub version: Version,
    /// Its domains that are verified.
    pub domains: Vec<Domain>,
}

/// An answer that was given once, for who asks again with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Of the request: who asks for something else with the same key is mistaken.
    pub request: Digest,
    /// The status of the answer.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// When it was given.
    pub created: Millis,
}

/// A word that is none of those that a row may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {known}")]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

/// Gives an enum the words by which it is written, the same in rows as in JSON.
macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),+) => {
        impl $type {
            /// The word by which it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord {
                        word: word.to_owned(),
                        known: concat!($($word, " "),+).trim_ascii_end(),
                    }),
                }
            }
        }
    };
}

words!(DeploymentState: Queued = "queued", Checking = "checking", Compiling = "compiling",
    Probing = "probing", Live = "live", Failed = "failed", Interrupted = "interrupted");
words!(Right: Read = "read", Deploy = "deploy", Admin = "admin");
