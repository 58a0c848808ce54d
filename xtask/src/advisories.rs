//! `cargo xtask advisories`: the list of `docs/advisories.toml` held against `Cargo.lock`, without a network. It finds
//! what is on the list and nothing else; `cargo deny check advisories` asks the database.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::shell::root;

const LIST: &str = "docs/advisories.toml";

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// All was looked up until this day: `2026-11-28`.
    as_of: String,
    /// The list is old after so many days.
    good_for_days: i64,
    advisory: Vec<Advisory>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    /// Its other names.
    #[serde(default)]
    also: Vec<String>,
    #[serde(rename = "crate")]
    package: String,
    title: String,
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
    /// Why an affected version does no harm here.
    does_not_apply: Option<String>,
}

impl Advisory {
    fn affects(&self, version: &Version) -> Result<bool> {
        for range in self.patched.iter().chain(&self.unaffected) {
            let range =
                VersionReq::parse(range).with_context(|| format!("{}: {range}", self.id))?;
            if range.matches(version) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn names(&self) -> String {
        let also = self.also.iter().map(String::as_str);
        let names: Vec<_> = std::iter::once(&*self.id).chain(also).collect();
        names.join(", ")
    }
}

/// Cargo.lock, as far as it matters.
#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
}

pub(crate) fn run() -> Result<()> {
    let read = |path: &str| fs::read_to_string(root().join(path)).with_context(|| path.to_owned());
    let list: List = toml::from_str(&read(LIST)?).context(LIST)?;
    let lock: Lock = toml::from_str(&read("Cargo.lock")?).context("Cargo.lock")?;
    let mut locked: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for package in lock.package {
        let version = Version::parse(&package.version)
            .with_context(|| format!("{} {}", package.name, package.version))?;
        locked.entry(package.name).or_default().push(version);
    }
    let held = hold(&list.advisory, &locked)?;
    for line in &held.known {
        eprintln!("{line}");
    }
    let today = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / (24 * 60 * 60);
    let age = i64::try_from(today)? - day(&list.as_of).context(LIST)?;
    if age > list.good_for_days {
        eprintln!(
            "warning: {LIST} is {age} days old and good for {}; its head says how to renew it",
            list.good_for_days
        );
    }
    if held.faults.is_empty() {
        let count = list.advisory.len();
        eprintln!("{count} advisories as of {}: none is open", list.as_of);
        return Ok(());
    }
    bail!("{LIST}:\n  {}", held.faults.join("\n  "))
}

#[derive(Debug, Default)]
struct Held {
    /// Affected, and why that is no matter.
    known: Vec<String>,
    faults: Vec<String>,
}

fn hold(advisories: &[Advisory], locked: &BTreeMap<String, Vec<Version>>) -> Result<Held> {
    let mut held = Held::default();
    for advisory in advisories {
        let versions = locked.get(&advisory.package).map_or(&[][..], Vec::as_slice);
        let mut affected = None;
        for version in versions {
            if advisory.affects(version)? {
                affected = Some(version);
            }
        }
        let (names, package) = (advisory.names(), &advisory.package);
        match (affected, &advisory.does_not_apply) {
            (Some(version), None) => held.faults.push(format!(
                "{names}: {}; {package} {version} is affected. `cargo update -p {package}`, or say in \
                 `does_not_apply` why it does no harm",
                advisory.title
            )),
            (Some(version), Some(why)) => {
                held.known.push(format!("{names}: {package} {version}. {why}"));
            }
            (None, Some(_)) => held.faults.push(format!(
                "{names}: no {package} in use is affected; take `does_not_apply` out"
            )),
            (None, None) => {}
        }
    }
    Ok(held)
}

/// The days from 1970 to this one.
fn day(date: &str) -> Result<i64> {
    let parts: Vec<i64> = date
        .split('-')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{date} is no day"))?;
    let [year, month @ 1..=12, day @ 1..=31] = parts[..] else {
        bail!("{date} is no day");
    };
    // Years that begin in March, so that the day that some of them lack is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days_before = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Ok(days_before + (153 * month + 2) / 5 + day - 719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_so_many_after_1970() {
        let check = |date: &str, expected: i64| assert_eq!(day(date).unwrap(), expected, "{date}");
        check("1970-01-01", 0);
        check("1970-03-01", 59);
        check("2000-02-29", 11_016);
        check("2026-11-28", 20_785);
        for wrong in ["", "2026-13-01", "2026-11", "yesterday"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_affected_needs_a_reason_and_what_is_not_has_none() {
        let check = |version: &str, reason: Option<&str>, known: usize, faults: usize| {
            let advisory = Advisory {
                id: "GHSA-1".to_owned(),
                also: vec!["CVE-1".to_owned()],
                package: "wasmtime".to_owned(),
                title: "a hole".to_owned(),
                patched: vec![">= 36.0.8, < 37.0.0".to_owned(), ">= 48.0.9".to_owned()],
                unaffected: vec!["< 30.0.0".to_owned()],
                does_not_apply: reason.map(str::to_owned),
            };
            let version = Version::parse(version).unwrap();
            let locked = BTreeMap::from([("wasmtime".to_owned(), vec![version])]);
            let held = hold(&[advisory], &locked).unwrap();
            assert_eq!(
                (held.known.len(), held.faults.len()),
                (known, faults),
                "{held:?}"
            );
        };
        check("48.0.8", None, 0, 1);
        check("48.0.8", Some("it is off"), 1, 0);
        check("48.0.9", None, 0, 0);
        check("48.0.9", Some("it is off"), 0, 1);
        check("36.0.8", None, 0, 0);
        check("36.0.7", None, 0, 1);
        check("29.0.1", None, 0, 0);
    }
}
