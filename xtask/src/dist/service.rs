//! An installed service, run as its unit says but without systemd: started, asked, reloaded and stopped.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::demo::ask;
use crate::shell::run;

/// For each step. A component is compiled in one of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server, and the socket by which it tells how it is. It is killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    manager: UnixDatagram,
    socket: PathBuf,
    said: Receiver<String>,
}

impl Service {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        // A path of a socket is short.
        let name = format!("wasm-gw-dist-{}", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket)?;
        manager.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut child = command
            .env("NOTIFY_SOCKET", &socket)
            .env_remove("WASM_GW_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", shown(&command)))?;
        let stderr = child.stderr.take().context("it has a stderr")?;
        let (say, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        Ok(Self {
            child,
            manager,
            socket,
            said,
        })
    }

    pub(crate) fn answers_reloads_and_stops(mut self) -> Result<()> {
        let done = self.go_through();
        if done.is_err() {
            for line in self.said.try_iter() {
                eprintln!("{line}");
            }
        }
        done
    }

    fn go_through(&mut self) -> Result<()> {
        self.is_told("READY=1")?;
        let address = self.address()?;
        ask(&address)?;
        self.signal("HUP")?;
        self.is_told("RELOADING=1")?;
        self.is_told("READY=1")?;
        ask(&address)?;
        self.signal("TERM")?;
        self.is_told("STOPPING=1")?;
        let status = self.end()?;
        ensure!(status.success(), "told to stop, it ended with {status}");
        eprintln!("   it was ready, answered, reloaded, answered again, and stopped");
        Ok(())
    }

    /// Waits for this line, in whichever message.
    fn is_told(&mut self, line: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // Asked first: what one has said that ended since is still there to be read.
            let ended = self.child.try_wait()?;
            while let Some(text) = self.told()? {
                if text.lines().any(|told| told == line) {
                    return Ok(());
                }
            }
            if let Some(status) = ended {
                bail!("it ended with {status} before it said {line}");
            }
        }
        bail!("waited in vain for {line}")
    }

    /// The next message, if one comes soon.
    fn told(&self) -> Result<Option<String>> {
        let mut buffer = [0; 4096];
        match self.manager.recv(&mut buffer) {
            Ok(length) => Ok(Some(
                String::from_utf8_lossy(&buffer[..length]).into_owned(),
            )),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn address(&self) -> Result<String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let line = self.said.recv_timeout(PATIENCE)?;
            if let Some((_, address)) = line.split_once("listens  http://") {
                return Ok(address.trim().to_owned());
            }
        }
        bail!("it does not say where it listens")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let process = self.child.id().to_string();
        run(Command::new("kill").args([&format!("-{name}"), &process]))
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("told to stop, it goes on")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

fn shown(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// What the unit starts, of a system whose root is this folder.
pub(crate) fn command_of(unit: &str, root: &Path) -> Result<Command> {
    let inside = |path: &str| match path.strip_prefix('/') {
        Some(path) => root.join(path).into_os_string(),
        None => path.into(),
    };
    let mut words = value(unit, "ExecStart")?.split_whitespace();
    let mut command = Command::new(inside(words.next().context("ExecStart= is empty")?));
    command.args(words.map(inside)).current_dir(root);
    for line in unit.lines() {
        if let Some(variable) = line.strip_prefix("Environment=") {
            let (name, value) = variable.split_once('=').context("a variable has a value")?;
            command.env(name, inside(value));
        }
    }
    Ok(command)
}

/// What a unit says of this.
fn value<'a>(unit: &'a str, key: &str) -> Result<&'a str> {
    let of = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    let found = unit.lines().find_map(of);
    found.with_context(|| format!("the unit has no {key}="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::tree::read;

    #[test]
    fn a_units_command_is_moved_with_its_system() {
        let unit = "[Service]\nExecStart=/usr/bin/x serve --config /etc/x.toml\nEnvironment=A=/b\n";
        let command = command_of(unit, Path::new("/root")).unwrap();
        assert_eq!(command.get_program(), "/root/usr/bin/x");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["serve", "--config", "/root/etc/x.toml"]);
        let variables: Vec<_> = command.get_envs().collect();
        assert_eq!(variables, [("A".as_ref(), Some("/root/b".as_ref()))]);
    }

    #[test]
    fn the_unit_allows_what_the_runtime_needs() {
        let unit = read("packaging/wasm-gw.service").unwrap();
        assert_eq!(value(&unit, "Type").unwrap(), "notify");
        // Compiled code is made executable; the machine's memory is asked for in /proc.
        for never in ["MemoryDenyWriteExecute", "ProcSubset"] {
            assert!(value(&unit, never).is_err(), "{never}");
        }
    }
}
