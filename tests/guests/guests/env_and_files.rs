//! Tries what only a grant may allow and answers with a line for each, `WHAT: ok
//! RESULT` or `WHAT: error KIND`. Always: `args`, `env` (all variables), `cwd`,
//! `list /`. By query: `?list=PATH`, `?read=PATH`, `?write=PATH`, `?mkdir=PATH`,
//! `?remove=PATH`, `?connect=HOST:PORT`, `?listen=HOST:PORT`, `?udp=HOST:PORT`,
//! `?resolve=HOST`. `?stdin` reads the standard input.
//! For: a guest gets nothing that was not granted.

use std::fmt::Debug;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::{env, fs};

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut report = String::new();
    let mut say = |what: &str, result: io::Result<String>| {
        let line = match result {
            Ok(text) => format!("{what}: ok {text}\n"),
            Err(error) => format!("{what}: error {:?}\n", error.kind()),
        };
        report.push_str(&line);
    };

    say("args", shown(env::args().collect::<Vec<_>>()));
    say("env", shown(env::vars().collect::<Vec<_>>()));
    say("cwd", env::current_dir().and_then(shown));
    say("list /", list("/"));
    type Attempt = fn(&str) -> io::Result<String>;
    let attempts: [(&str, Attempt); 9] = [
        ("list", list),
        ("read", |path| fs::read(path).and_then(shown_bytes)),
        ("write", |path| fs::write(path, "written").and_then(shown)),
        ("mkdir", |path| fs::create_dir(path).and_then(shown)),
        ("remove", |path| fs::remove_file(path).and_then(shown)),
        ("connect", |to| {
            TcpStream::connect(to).and_then(|stream| shown(stream.peer_addr()))
        }),
        ("listen", |at| {
            TcpListener::bind(at).and_then(|socket| shown(socket.local_addr()))
        }),
        ("udp", |at| {
            UdpSocket::bind(at).and_then(|socket| shown(socket.local_addr()))
        }),
        ("resolve", |host| {
            let found = (host, 80).to_socket_addrs()?;
            shown(found.collect::<Vec<_>>())
        }),
    ];
    for (name, attempt) in attempts {
        if let Some(argument) = query.get(name) {
            say(&format!("{name} {argument}"), attempt(&argument));
        }
    }
    if query.has("stdin") {
        let mut bytes = Vec::new();
        let read = io::stdin().read_to_end(&mut bytes);
        say("stdin", read.and_then(shown));
    }
    start_text(&start_response)?;
    Ok(report.into())
}

fn shown(value: impl Debug) -> io::Result<String> {
    Ok(format!("{value:?}"))
}

fn shown_bytes(bytes: Vec<u8>) -> io::Result<String> {
    Ok(format!("{:?}", String::from_utf8_lossy(&bytes)))
}

fn list(path: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name());
    }
    names.sort();
    shown(names)
}

wasm_gw_guest::export!(app);
