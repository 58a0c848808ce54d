//! All connections of a server: how many there may be, how many from one address, and which of them rest
//! and can go when somebody else wants a place.
//!
//! Not here: what a connection that is told to go does (`connection.rs`), and for how long it may rest
//! when there is room (`config.rs`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use wasm_gw_protocol::{Endpoint, TrustedProxies, weak};

use crate::config::HttpConfig;
use crate::exchange::{Connection, Rest};
use crate::sys;

/// One address may have one part in so many of all connections, if nothing else is said.
const SHARE: usize = 4;

/// When room is wanted, one part in so many of all connections is told to go at once: to look at all of
/// them for each newcomer would cost more than it gains.
const PART: usize = 64;

/// How long somebody who waits for a place waits before all are looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a connection is left alone that has never sent anything, or was served a moment ago: its client may have
/// sent the next request already.
const SILENCE: Duration = Duration::from_secs(1);

/// How often the log says that an address has too many.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Where an address's connections are counted. Whoever has one IPv6 address has 2^64 of them (RFC 4291
/// 2.5.4), so those count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl Source {
    fn of(remote: &Endpoint) -> Option<Self> {
        match remote {
            Endpoint::Tcp(address) => Some(Self(match address.ip().to_canonical() {
                IpAddr::V6(address) => {
                    let network = address.to_bits() >> 64 << 64;
                    IpAddr::V6(network.into())
                }
                address => address,
            })),
            // The peer of a connection has both or neither.
            Endpoint::Unix | Endpoint::Ip(_) | Endpoint::Unknown => None,
        }
    }
}

/// See the module's documentation. Clones are of one crowd.
#[derive(Clone)]
pub(crate) struct Crowd(Arc<Shared>);

struct Shared {
    places: Arc<Semaphore>,
    /// Whose connections are those of many clients.
    trusted: TrustedProxies,
    most: usize,
    most_of_one: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many connections there are from each address that has any.
    sources: HashMap<Source, usize>,
    connections: HashMap<u64, Weak<Connection>>,
    next: u64,
    /// Connections that were closed at once, since the log said so last.
    turned_away: u64,
    told: Option<Instant>,
}

/// That a connection counts. Dropping it takes it off.
pub(crate) struct Counted {
    crowd: Crowd,
    source: Option<Source>,
    number: Option<u64>,
}

/// The right to be served.
pub(crate) type Place = OwnedSemaphorePermit;

impl Crowd {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        let most = max_connections(config);
        let most_of_one = config
            .max_connections_per_address
            .unwrap_or((most / SHARE).max(1));
        Self(Arc::new(Shared {
            places: Arc::new(Semaphore::new(most)),
            trusted: config.trusted_proxies.clone(),
            most,
            most_of_one,
            state: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more connection from there, unless there are too many of them: it is to be closed then.
    pub(crate) fn admit(&self, remote: &Endpoint) -> Option<Counted> {
        let source = Source::of(remote).filter(|_| !self.0.trusted.trusts(remote));
        if let Some(source) = source {
            let mut state = self.lock();
            let count = state.sources.entry(source).or_default();
            if *count >= self.0.most_of_one {
                self.turn_away(&mut state, source);
                return None;
            }
            *count += 1;
        }
        Some(Counted {
            crowd: self.clone(),
            source,
            number: None,
        })
    }

    fn turn_away(&self, state: &mut State, Source(address): Source) {
        state.turned_away += 1;
        let now = Instant::now();
        if state.told.is_none_or(|told| now - told >= TELL_AGAIN) {
            tracing::warn!(
                "{} connections were closed at once: {address} and perhaps others have {} already \
                 (max-connections-per-address)",
                state.turned_away,
                self.0.most_of_one,
            );
            state.turned_away = 0;
            state.told = Some(now);
        }
    }

    /// Waits for a place. Where all are taken, connections that rest are told to go.
    pub(crate) async fn place(&self) -> Place {
        loop {
            let place = Arc::clone(&self.0.places).try_acquire_owned();
            if let Ok(place) = place {
                return place;
            }
            if !weak("make-room") {
                self.make_room();
            }
            let place = Arc::clone(&self.0.places).acquire_owned();
            // The semaphore is never closed.
            if let Ok(Ok(place)) = tokio::time::timeout(LOOK_AGAIN, place).await {
                return place;
            }
        }
    }

    /// A place for one that must not wait, if there is one.
    pub(crate) fn place_at_once(&self) -> Option<Place> {
        Arc::clone(&self.0.places).try_acquire_owned().ok()
    }

    /// Tells connections to go: those that have rested for longest, then those that have been silent from the
    /// beginning, and only where these are too few those that were served a moment ago.
    fn make_room(&self) {
        let all: Vec<Arc<Connection>> = {
            let state = self.lock();
            state
                .connections
                .values()
                .filter_map(Weak::upgrade)
                .collect()
        };
        let resting = all
            .iter()
            .filter_map(|connection| Some((connection.rest()?, connection)));
        let wanted = self.0.most.div_ceil(PART);
        for connection in who_goes(resting.collect(), wanted, Instant::now()) {
            connection.tell_to_go();
        }
    }
}

/// So many of those that rest, in the order in which they are to go.
fn who_goes<T>(resting: Vec<(Rest, T)>, wanted: usize, now: Instant) -> impl Iterator<Item = T> {
    let is_old = |rest: &Rest| now.saturating_duration_since(rest.since) >= SILENCE;
    let due = resting
        .iter()
        .filter(|(rest, _)| rest.fresh || is_old(rest));
    let are_enough = due.count() >= wanted;
    let mut going: Vec<_> = resting
        .into_iter()
        .filter(|(rest, _)| is_old(rest) || !rest.fresh && !are_enough)
        .collect();
    let rank = |(rest, _): &(Rest, T)| (rest.fresh, rest.since);
    if going.len() > wanted {
        going.select_nth_unstable_by_key(wanted, rank);
        going.truncate(wanted);
    }
    going.into_iter().map(|(_, one)| one)
}

impl Counted {
    /// From now on it can be told to go.
    pub(crate) fn is(&mut self, connection: &Arc<Connection>) {
        let mut state = self.crowd.lock();
        let number = state.next;
        state.next += 1;
        state.connections.insert(number, Arc::downgrade(connection));
        drop(state);
        self.number = Some(number);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.crowd.lock();
        if let Some(number) = self.number {
            state.connections.remove(&number);
        }
        if let Some(source) = self.source
            && let Some(count) = state.sources.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                state.sources.remove(&source);
            }
        }
    }
}

/// The configured number, or one that leaves descriptors for everything else in the process.
fn max_connections(config: &HttpConfig) -> usize {
    /// Where the system sets no limit.
    const UNLIMITED: usize = 10_000;
    /// The most taken from one it sets: some systems allow a thousand millions.
    const MOST: usize = 100_000;
    let derived = || match sys::open_files_limit() {
        None => UNLIMITED,
        Some(files) => {
            let files = usize::try_from(files).unwrap_or(usize::MAX);
            (files - files / 8).saturating_sub(32).min(MOST)
        }
    };
    let wanted = config.max_connections.unwrap_or_else(derived);
    wanted.clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        let address = Endpoint::Tcp((address.parse::<IpAddr>().unwrap(), 1).into());
        Source::of(&address).unwrap()
    }

    #[test]
    fn a_network_of_64_bits_is_one_source_and_a_mapped_address_is_itself() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:0:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(Source::of(&Endpoint::Unix), None);
    }

    #[test]
    fn those_who_have_rested_for_longest_go_and_those_served_just_now_go_last() {
        let now = Instant::now() + Duration::from_secs(3600);
        let rests = |seconds, fresh| Rest {
            since: now - Duration::from_secs(seconds),
            fresh,
        };
        let check = |resting: &[(Rest, &'static str)], wanted, expected: &[&str]| {
            let mut going: Vec<_> = who_goes(resting.to_vec(), wanted, now).collect();
            going.sort_unstable();
            assert_eq!(going, expected);
        };
        let served = |seconds| rests(seconds, false);
        let silent = |seconds| rests(seconds, true);
        check(&[], 1, &[]);
        let all = [
            (served(0), "just now"),
            (served(9), "rested"),
            (served(60), "rested long"),
            (silent(90), "silent"),
            (silent(0), "new"),
        ];
        check(&all, 1, &["rested long"]);
        check(&all, 2, &["rested", "rested long"]);
        check(&all, 4, &["rested", "rested long", "silent"]);
        // Silent ones that will be due in a moment are waited for, if they are as many.
        let two = [(served(0), "just now"), (silent(0), "new")];
        check(&two, 1, &[]);
        check(&two, 2, &["just now"]);
        check(&[(served(0), "just now")], 2, &["just now"]);
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let crowd = Crowd::new(&HttpConfig {
            max_connections: Some(8),
            ..HttpConfig::default()
        });
        let from = |last: u8| Endpoint::Tcp(([127, 0, 0, last], 1).into());
        let first = crowd.admit(&from(1)).unwrap();
        let second = crowd.admit(&from(1)).unwrap();
        assert!(crowd.admit(&from(1)).is_none());
        assert!(crowd.admit(&from(2)).is_some());
        assert!(crowd.admit(&Endpoint::Unix).is_some());
        drop(first);
        let third = crowd.admit(&from(1)).unwrap();
        assert!(crowd.admit(&from(1)).is_none());
        drop((second, third));
        assert!(crowd.lock().sources.is_empty());
    }

    #[test]
    fn a_trusted_proxy_has_as_many_as_there_are() {
        let crowd = Crowd::new(&HttpConfig {
            max_connections_per_address: Some(1),
            trusted_proxies: ["192.0.2.0/24".parse().unwrap()].into_iter().collect(),
            ..HttpConfig::default()
        });
        let from = |address: [u8; 4]| Endpoint::Tcp((address, 1).into());
        let all: Vec<_> = (0..5).map(|_| crowd.admit(&from([192, 0, 2, 7]))).collect();
        assert!(all.iter().all(Option::is_some));
        let _one = crowd.admit(&from([192, 0, 3, 7])).unwrap();
        assert!(crowd.admit(&from([192, 0, 3, 7])).is_none());
    }
}
