//! Attacks by guests: what they say, and what they use. Another application of the same server is asked meanwhile.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::case::{Case, Found, Needs, Proof};
use super::probe::Probe;
use super::server::Server;
use super::setting::Setting;
use super::wire::PATIENCE;
use crate::kit::http::{Answer, Kept, Request, ask};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "injection",
        shows: "a guest that puts NUL, CR and LF into its status and headers, names that are none, and \
                Transfer-Encoding",
        expected: "each is refused, and the guest is told so; nothing of it reaches the client",
        needs: Needs::Guest,
        proof: Proof::Off(&["head-checks"]),
        waits: false,
        run: injection,
    },
    Case {
        name: "spinners",
        shows: "64 guests that compute for ever",
        expected: "each ends in 504 at the timeout; another application does not notice",
        needs: Needs::Guest,
        proof: Proof::Off(&["turns", "cpu", "timeout"]),
        waits: false,
        run: |setting| hostile(setting, &SPIN),
    },
    Case {
        name: "sleepers",
        shows: "200 guests that sleep for a millisecond, for ever",
        expected: "the same",
        needs: Needs::Guest,
        proof: Proof::Off(&["timeout"]),
        waits: false,
        run: |setting| hostile(setting, &SLEEP),
    },
    Case {
        name: "bombs",
        shows: "4 guests at once, again and again, that take memory until there is none",
        expected: "502; memory stays within 4 times 256 MiB",
        needs: Needs::Guest,
        proof: Proof::Off(&["memory"]),
        waits: false,
        run: |setting| hostile(setting, &BOMB),
    },
    Case {
        name: "squatters",
        shows: "32 guests that take memory until there is none, and sleep on it, of a server with 1 GiB for all",
        expected: "503 or 504; memory stays within that; another application is answered",
        needs: Needs::Guest,
        proof: Proof::Off(&["memory-total"]),
        waits: false,
        run: |setting| hostile(setting, &SQUAT),
    },
    Case {
        name: "handles",
        shows: "4 guests at once that make handles for ever",
        expected: "502; memory stays",
        needs: Needs::Guest,
        proof: Proof::Off(&["kept-by-host", "cpu"]),
        waits: false,
        run: |setting| hostile(setting, &HANDLES),
    },
    Case {
        name: "keepers",
        shows: "4 guests at once that make the host keep bodies of 1 MiB for ever",
        expected: "502; memory stays",
        needs: Needs::Guest,
        proof: Proof::Off(&["kept-by-host"]),
        waits: false,
        run: |setting| hostile(setting, &KEEP),
    },
    Case {
        name: "huge-headers",
        shows: "4 guests at once that answer with a header of 1 GiB",
        expected: "502; memory stays",
        needs: Needs::Guest,
        proof: Proof::Off(&["hostcall-bytes"]),
        waits: false,
        run: |setting| hostile(setting, &HEADER),
    },
    Case {
        name: "loggers",
        shows: "4 guests at once that log 16 MiB",
        expected: "200; the log has 256 KiB of each, and says that there was more",
        needs: Needs::Guest,
        proof: Proof::Off(&["log-bytes"]),
        waits: false,
        run: loggers,
    },
];

/// So many attempts are in `INJECTIONS` of the guests.
const INJECTIONS: usize = 15;

fn injection(setting: &Setting) -> Result<Found> {
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let mut client = Kept::new(server.address, PATIENCE);
    for number in 0..INJECTIONS {
        let path = server.hostile(&format!("/inject?number={number}"));
        match client.ask(&Request::get(&path)) {
            Err(error) => found.demand(false, format!("{number}: {error:#}")),
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let is_refused = answer.status == 200 && text.starts_with("refused");
                let is_injected = answer.header("x-injected").is_some();
                found.demand(
                    is_refused && !is_injected,
                    format!("{number}: {} {}", answer.status, text.trim()),
                );
            }
        }
    }
    found.say(format!("{INJECTIONS} tried"));
    Ok(found)
}

/// Guests that use what is everybody's.
struct Hostile {
    path: &'static str,
    at_once: usize,
    /// The statuses that their clients may get.
    statuses: &'static [u16],
    /// What the server has for all instances, where the attack is on that, or where it would fill the machine
    /// without its defence.
    memory_total: Total,
    /// Whether they go on until a timeout ends them.
    endless: bool,
    /// What may become resident beyond what was, in MiB.
    memory: u64,
}

#[derive(Clone, Copy)]
enum Total {
    Default,
    IfWeak(&'static str),
    Always(&'static str),
}

const SPIN: Hostile = Hostile {
    path: "/spin",
    at_once: 64,
    statuses: &[504],
    memory_total: Total::Default,
    endless: true,
    memory: 300,
};
const SLEEP: Hostile = Hostile {
    path: "/sleep",
    at_once: 200,
    statuses: &[504],
    memory_total: Total::Default,
    endless: true,
    memory: 400,
};
const BOMB: Hostile = Hostile {
    path: "/bomb",
    at_once: 4,
    statuses: &[502],
    memory_total: Total::IfWeak("4GiB"),
    endless: false,
    memory: 4 * 256 + 128,
};
const SQUAT: Hostile = Hostile {
    path: "/squat",
    at_once: 32,
    statuses: &[503, 504],
    memory_total: Total::Always("1GiB"),
    endless: true,
    memory: 1024 + 154,
};
const HANDLES: Hostile = Hostile {
    path: "/handles",
    at_once: 4,
    statuses: &[502],
    memory_total: Total::IfWeak("1GiB"),
    endless: false,
    memory: 128,
};
const KEEP: Hostile = Hostile {
    path: "/keep",
    at_once: 4,
    statuses: &[502],
    memory_total: Total::IfWeak("1GiB"),
    endless: false,
    memory: 4 * 80 + 128,
};
const HEADER: Hostile = Hostile {
    path: "/header?mib=1024",
    at_once: 4,
    statuses: &[502],
    memory_total: Total::IfWeak("1GiB"),
    endless: false,
    memory: 256,
};

fn hostile(setting: &Setting, attack: &Hostile) -> Result<Found> {
    let mut options = Vec::new();
    let mut patience = Duration::from_secs(10);
    let total = match attack.memory_total {
        Total::Always(total) => Some(total),
        Total::IfWeak(total) if !setting.weak.is_empty() => Some(total),
        Total::IfWeak(_) | Total::Default => None,
    };
    if let Some(total) = total.filter(|_| setting.target.is_gateway()) {
        options.extend(["--memory-total".to_owned(), total.to_owned()]);
    }
    if attack.endless {
        let (timeout, shorter) = setting.time("--timeout", 2, 30);
        options.extend(shorter);
        patience = timeout;
    }
    let server = setting.server(&options)?;
    let mut found = Found::default();
    // So that the application is known to answer, and no breaker ends the attack in place of its bounds.
    if setting.target.is_gateway() {
        Kept::new(server.address, PATIENCE).get(&server.hostile("/"))?;
    }
    let probe = Probe::start(&server)?;
    let before = server.resident();
    let begin = Instant::now();
    let late = Duration::from_secs(setting.pick(3, 5));
    let rounds = if attack.endless {
        1
    } else {
        setting.pick(1, 3)
    };
    let (answers, peak) = attack_with(&server, attack, rounds, patience + late);
    let took = begin.elapsed();
    probe.finish().judge(&mut found, setting);
    judge_attackers(&mut found, setting, attack, &answers);
    let grown = peak.saturating_sub(before) >> 20;
    found.demand(
        grown <= attack.memory,
        format!("memory +{grown} MiB, over {}", attack.memory),
    );
    found.say(format!("memory +{grown} MiB, {took:.1?}"));
    Ok(found)
}

/// What all attackers got, and the most that was resident.
fn attack_with(
    server: &Server,
    attack: &Hostile,
    rounds: usize,
    patience: Duration,
) -> (Vec<Answer>, u64) {
    let address = server.address;
    let path = server.hostile(attack.path);
    thread::scope(|scope| {
        let attackers: Vec<_> = (0..attack.at_once)
            .map(|_| {
                let path = &path;
                scope.spawn(move || -> Vec<Answer> {
                    (0..rounds).map(|_| once(address, path, patience)).collect()
                })
            })
            .collect();
        let mut peak = 0;
        while attackers.iter().any(|one| !one.is_finished()) {
            peak = peak.max(server.resident());
            // Beyond this the machine would suffer, and nothing more is learnt.
            if peak > CEILING {
                server.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
        let answers = attackers.into_iter().filter_map(|one| one.join().ok());
        (answers.flatten().collect(), peak)
    })
}

/// Above so many bytes a server is ended.
const CEILING: u64 = 3 << 30;

fn once(address: SocketAddr, path: &str, patience: Duration) -> Answer {
    ask(address, path, || {}, |begin| begin.elapsed() < patience)
}

fn judge_attackers(found: &mut Found, setting: &Setting, attack: &Hostile, answers: &[Answer]) {
    let mut counts = std::collections::BTreeMap::new();
    for answer in answers {
        let name = match answer.status {
            Some(status) => status.to_string(),
            None if answer.refused => "cut".to_owned(),
            None => "no answer".to_owned(),
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} x {count}"))
        .collect();
    let counts = counts.join(", ");
    let is_right = |answer: &Answer| match answer.status {
        Some(status) => attack.statuses.contains(&status) || !setting.target.is_gateway(),
        // Another server may cut what it does not answer.
        None => answer.refused && !setting.target.is_gateway(),
    };
    if answers.iter().all(is_right) {
        found.say(format!("attackers got {counts}"));
    } else {
        found.demand(
            false,
            format!("attackers got {counts}, not {:?}", attack.statuses),
        );
    }
}

fn loggers(setting: &Setting) -> Result<Found> {
    /// What each may have, and how much more its lines take.
    const MOST: u64 = 4 * (256 << 10) * 3 / 2;
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let before = server.log_size();
    let probe = Probe::start(&server)?;
    let path = server.hostile("/log?mib=16");
    let address = server.address;
    thread::scope(|scope| {
        for _ in 0..4 {
            let path = &path;
            scope.spawn(move || once(address, path, Duration::from_secs(20)));
        }
    });
    probe.finish().judge(&mut found, setting);
    let written = server.log_size() - before;
    let text = format!("{} KiB logged", written >> 10);
    if written > MOST {
        found.demand(false, format!("{text}, over {}", MOST >> 10));
    } else {
        found.say(text);
    }
    Ok(found)
}
