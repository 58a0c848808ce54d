//! A real nginx in front of a server, as a process of its own with a configuration of the test's.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::eventually;

/// Where Debian has the module for streams; elsewhere it is built in.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A running nginx, killed when it is dropped.
pub struct Nginx {
    child: Child,
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Nginx {
    /// With this inside of `http`, in which `PORT` is where it is to listen. Each request is a line of
    /// [`Nginx::log`]: its id, its client, its status.
    pub async fn http(servers: &str) -> Self {
        Self::start(&format!(
            "http {{
                log_format ids '$request_id $remote_addr $status';
                access_log access.log ids;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                {servers}
            }}"
        ))
        .await
    }

    /// With this beside `events`, in which `PORT` is where it is to listen.
    pub async fn start(blocks: &str) -> Self {
        // A port that was free may be taken before nginx has it.
        for _ in 0..10 {
            let port = free_port();
            let blocks = blocks.replace("PORT", &format!("127.0.0.1:{port}"));
            if let Some((child, folder)) = Self::try_start(&blocks).await {
                let address = ([127, 0, 0, 1], port).into();
                return Self {
                    child,
                    folder,
                    address,
                };
            }
        }
        panic!("nginx found no port to listen on");
    }

    async fn try_start(blocks: &str) -> Option<(Child, TempDir)> {
        let folder = tempfile::tempdir().unwrap();
        let stream = if Path::new(STREAM).exists() {
            format!("load_module {STREAM};")
        } else {
            String::new()
        };
        let config = format!(
            "{stream} daemon off; master_process off; pid pid; error_log error.log info;
             events {{ worker_connections 128; }}
             {blocks}"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut child = command()
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| match error.kind() {
                ErrorKind::NotFound => panic!(
                    "there is no nginx: `cargo xtask test` installs it on Debian, or do it by hand: \
                     apt-get install nginx libnginx-mod-stream"
                ),
                _ => panic!("nginx does not start: {error}"),
            });
        // It writes its number once it listens.
        let listens = eventually("nginx", || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let pid = fs::read_to_string(folder.path().join("pid"));
            pid.is_ok_and(|pid| pid.ends_with('\n')).then_some(true)
        })
        .await;
        if listens {
            return Some((child, folder));
        }
        let errors = fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
        assert!(errors.contains("Address already in use"), "nginx: {errors}");
        None
    }

    /// The lines of its access log so far.
    pub fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian has it where only root's PATH leads.
fn command() -> Command {
    let sbin = Path::new("/usr/sbin/nginx");
    Command::new(if sbin.exists() {
        sbin
    } else {
        Path::new("nginx")
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
