//! Sockets from one process to the next, so that no client is refused in between: from a service manager that
//! made them (`LISTEN_FDS`, systemd.socket(5)), or from the process whose place this one takes (SIGUSR2), which
//! goes on until this one says that it serves.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use wasm_gw_http::Listening;

/// What a process says to the one that it starts: its number, and a list of descriptors by what they are.
const HANDED_OVER: &str = "WASM_GW_HANDED_OVER";

/// What this process was given at its start.
#[derive(Default)]
pub(crate) struct Handed {
    /// What the applications answer on, in place of `--listen`. None if nothing was given.
    pub(crate) apps: Vec<Listening>,
    /// The same for `--status-listen`.
    pub(crate) status: Option<Listening>,
    /// Whom to tell that this process serves.
    predecessor: Option<File>,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A socket for the applications.
    Apps,
    /// The same, a unix socket whose file goes with the server.
    AppsWithFile,
    Status,
    StatusWithFile,
    /// Where to say that this process serves.
    Ready,
}

const NAMES: [(&str, Role); 5] = [
    ("apps", Role::Apps),
    ("apps+file", Role::AppsWithFile),
    ("status", Role::Status),
    ("status+file", Role::StatusWithFile),
    ("ready", Role::Ready),
];

impl Handed {
    /// Takes what the environment says was given. To be called once, before anything else is opened.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let mut handed = Self::default();
        let mut seen = Vec::new();
        for (role, number) in given()? {
            ensure!(
                !seen.contains(&number),
                "descriptor {number} was given twice"
            );
            seen.push(number);
            let descriptor = own(number)?;
            match role {
                Role::Apps | Role::AppsWithFile => handed.apps.push(Listening {
                    socket: descriptor,
                    removes_file: role == Role::AppsWithFile,
                }),
                Role::Status | Role::StatusWithFile => {
                    ensure!(
                        handed.status.is_none(),
                        "two sockets were given for the status, and there is one"
                    );
                    handed.status = Some(Listening {
                        socket: descriptor,
                        removes_file: role == Role::StatusWithFile,
                    });
                }
                Role::Ready => handed.predecessor = Some(descriptor.into()),
            }
        }
        Ok(handed)
    }

    /// Whether there is a process whose place this one takes.
    pub(crate) fn replaces(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Tells the process whose place this one takes, if there is one, that it may end.
    pub(crate) fn ready(&mut self) {
        if let Some(mut predecessor) = self.predecessor.take()
            && let Err(error) = predecessor.write_all(b"1")
        {
            tracing::warn!("the process that started this one has gone: {error}");
        }
    }
}

/// What the environment says, be it a manager's or a predecessor's.
fn given() -> anyhow::Result<Vec<(Role, RawFd)>> {
    let variable = |name| std::env::var(name).ok();
    if let Some(text) = variable(HANDED_OVER) {
        let parent = std::os::unix::process::parent_id();
        let given = of_predecessor(&text, parent);
        let given = given.with_context(|| format!("{HANDED_OVER}={text}"))?;
        if !given.is_empty() {
            return Ok(given);
        }
    }
    let is_ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    match variable("LISTEN_FDS") {
        Some(count) if is_ours => {
            let names = variable("LISTEN_FDNAMES").unwrap_or_default();
            of_manager(&count, &names).with_context(|| format!("LISTEN_FDS={count}"))
        }
        _ => Ok(Vec::new()),
    }
}

/// `PID:ROLE=NUMBER,...`. Nothing if it is of another process, which has only passed its environment on.
fn of_predecessor(text: &str, parent: u32) -> anyhow::Result<Vec<(Role, RawFd)>> {
    let (pid, list) = text
        .split_once(':')
        .context("it has no number of a process")?;
    if pid != parent.to_string() {
        return Ok(Vec::new());
    }
    let one = |item: &str| {
        let (name, number) = item.split_once('=')?;
        let (_, role) = NAMES.iter().find(|(known, _)| *known == name)?;
        Some((*role, number.parse().ok()?))
    };
    let items = list.split(',');
    items
        .map(|item| one(item).with_context(|| format!("`{item}` is no descriptor")))
        .collect()
}

/// So many descriptors from 3 on. One that is named `status` is for the status.
fn of_manager(count: &str, names: &str) -> anyhow::Result<Vec<(Role, RawFd)>> {
    /// More sockets than this no unit has.
    const MOST: RawFd = 1000;
    let count: RawFd = count.parse().context("it is no number")?;
    ensure!((0..=MOST).contains(&count), "there are at most {MOST}");
    let mut names = names.split(':');
    let roles = (3..3 + count).map(|number| {
        let role = match names.next() {
            Some("status") => Role::Status,
            _ => Role::Apps,
        };
        (role, number)
    });
    Ok(roles.collect())
}

/// Makes a descriptor that was given ours.
#[expect(
    unsafe_code,
    reason = "a number of a descriptor comes from the environment"
)]
fn own(number: RawFd) -> anyhow::Result<OwnedFd> {
    ensure!(number > 2, "descriptor {number} is a standard stream");
    // SAFETY: it is only asked whether it is open, and not kept.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags =
        fcntl_getfd(borrowed).with_context(|| format!("descriptor {number} is not open"))?;
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: it is open, whoever started this process has given it to us, and nothing of this process has been
    // opened that could have this number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// This program, as it was started: by then its file may be another one.
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            arguments: std::env::args_os().skip(1).collect(),
        })
    }
}

/// Handles to the sockets of this process.
pub(crate) struct Sockets {
    pub(crate) apps: Vec<Listening>,
    pub(crate) status: Vec<Listening>,
}

/// A process that is to take the place of this one.
pub(crate) struct Successor {
    child: Arc<Mutex<Child>>,
    ready: Option<PipeReader>,
}

impl Successor {
    /// Starts it, by the file that this program was started from, with the same arguments.
    pub(crate) fn start(program: &Program, sockets: &Sockets) -> anyhow::Result<Self> {
        if std::process::id() == 1 {
            bail!(
                "this process is the first of its container, which ends with it; start another container in its place"
            );
        }
        let (ready, tell) = io::pipe()?;
        let tell = OwnedFd::from(tell);
        let of = |listening: &Listening, plain, with_file| {
            let role = if listening.removes_file {
                with_file
            } else {
                plain
            };
            (role, listening.socket.as_raw_fd())
        };
        let apps = (sockets.apps.iter()).map(|socket| of(socket, Role::Apps, Role::AppsWithFile));
        let status =
            (sockets.status.iter()).map(|socket| of(socket, Role::Status, Role::StatusWithFile));
        let all = apps.chain(status).chain([(Role::Ready, tell.as_raw_fd())]);
        let list: Vec<String> = all
            .map(|(role, number)| format!("{}={number}", name(role)))
            .collect();
        let inherited = || {
            let sockets = sockets.apps.iter().chain(&sockets.status);
            sockets.map(|listening| &listening.socket).chain([&tell])
        };
        for descriptor in inherited() {
            fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        let started = Command::new(&program.path)
            .args(&program.arguments)
            .env(
                HANDED_OVER,
                format!("{}:{}", std::process::id(), list.join(",")),
            )
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_FDNAMES")
            // It names this process; the other one is to be watched then.
            .env_remove("WATCHDOG_PID")
            .spawn();
        for descriptor in inherited() {
            fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
        }
        let child = started.with_context(|| format!("cannot start {}", program.path.display()))?;
        Ok(Self {
            child: Arc::new(Mutex::new(child)),
            ready: Some(ready),
        })
    }

    /// Resolves when it serves, with its number. Asked for once.
    ///
    /// # Errors
    ///
    /// It has ended; the text says how.
    pub(crate) async fn serves(&mut self) -> anyhow::Result<u32> {
        let mut ready = self.ready.take().context("it was asked before")?;
        let child = Arc::clone(&self.child);
        let told = tokio::task::spawn_blocking(move || {
            let told = ready.read(&mut [0])?;
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            if told == 0 {
                let status = child.wait()?;
                bail!("it ended before it served: {status}");
            }
            Ok(child.id())
        });
        told.await?
    }

    /// Tells it to end as this process is told: it may serve already.
    pub(crate) fn end(&self) {
        // Whoever has the lock waits for its end.
        if let Ok(mut child) = self.child.try_lock()
            && matches!(child.try_wait(), Ok(None))
            && let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

fn name(role: Role) -> &'static str {
    let found = NAMES.iter().find(|(_, known)| *known == role);
    found.map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_predecessor_gives_is_for_its_child_only() {
        let text = "12:apps=5,apps+file=6,status=7,ready=8";
        let expected = [
            (Role::Apps, 5),
            (Role::AppsWithFile, 6),
            (Role::Status, 7),
            (Role::Ready, 8),
        ];
        assert_eq!(of_predecessor(text, 12).unwrap(), expected);
        assert_eq!(of_predecessor(text, 13).unwrap(), []);
        for wrong in ["", "12", "12:", "12:apps", "12:apps=x", "12:other=5"] {
            assert!(of_predecessor(wrong, 12).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_manager_gives_has_names() {
        assert_eq!(
            of_manager("3", "http:status").unwrap(),
            [(Role::Apps, 3), (Role::Status, 4), (Role::Apps, 5)]
        );
        assert_eq!(of_manager("0", "").unwrap(), []);
        for wrong in ["", "-1", "x", "100000"] {
            assert!(of_manager(wrong, "").is_err(), "{wrong}");
        }
    }
}
