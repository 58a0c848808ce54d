//! Values that people write: times, sizes, pairs and mounts, as they stand on the command line and
//! in `wasm-gw.toml` alike.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A length of time: `30s`, `500ms`, `2m`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| format!("`{text}` is no length of time: write 30s, 500ms, 2m or 1h 30m"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes: `256MiB`, `64KiB`, `1GB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| {
                format!("`{text}` is no size: write 256MiB, 64KiB, 1GB or a number of bytes")
            })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0).display().iec().fmt(f)
    }
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair(pub(crate) String, pub(crate) String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err(format!("`{text}` is no pair: write NAME=VALUE")),
        }
    }
}

/// `/prefix=file.wasm`, or `/prefix=folder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppFile {
    pub(crate) mount: String,
    pub(crate) file: PathBuf,
}

impl FromStr for AppFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((mount, file)) if mount.starts_with('/') && !file.is_empty() => Ok(Self {
                mount: mount.to_owned(),
                file: PathBuf::from(file),
            }),
            _ => Err(format!(
                "`{text}` is no path with a file or folder: write /prefix=file.wasm"
            )),
        }
    }
}

/// Reads a value from the string that the command line would take.
macro_rules! from_text {
    ($type:ty, $name:literal, $description:literal, $example:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": $description,
                    "examples": [$example],
                })
            }
        }
    };
}

from_text!(Span, "Duration", "A length of time.", "30s");
from_text!(Size, "Size", "A number of bytes.", "256MiB");

/// In `wasm-gw.toml`, pairs are a table.
pub(crate) fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pair>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(from)?;
    Ok(table
        .into_iter()
        .map(|(name, value)| Pair(name, value))
        .collect())
}

/// In `wasm-gw.toml`, apps and folders are a table of mounts.
pub(crate) fn apps<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<AppFile>, D::Error> {
    let table = BTreeMap::<String, PathBuf>::deserialize(from)?;
    Ok(table
        .into_iter()
        .map(|(mount, file)| AppFile { mount, file })
        .collect())
}

/// One or several, as people write either.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text, or a list of texts")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// One or several, as a list.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_what_people_write() {
        assert_eq!("90s".parse(), Ok(Span(Duration::from_secs(90))));
        assert_eq!("1m 30s".parse(), Ok(Span(Duration::from_secs(90))));
        assert!("90".parse::<Span>().unwrap_err().contains("30s"));
        assert_eq!("256MiB".parse(), Ok(Size(256 << 20)));
        assert_eq!("4096".parse(), Ok(Size(4096)));
        assert!("lots".parse::<Size>().unwrap_err().contains("256MiB"));
        assert_eq!(Size(256 << 20).to_string(), "256.0 MiB");
    }

    #[test]
    fn an_app_is_a_mount_and_a_file() {
        let app = "/api=a=b.wasm".parse::<AppFile>().unwrap();
        assert_eq!(
            (app.mount.as_str(), app.file.to_str()),
            ("/api", Some("a=b.wasm"))
        );
        for wrong in ["a.wasm", "api=a.wasm", "/api=", "/api"] {
            assert!(wrong.parse::<AppFile>().is_err(), "{wrong}");
        }
    }
}
