//! The options of `serve`: one struct for the command line and for `wasm-gw.toml`, so that each flag
//! has a key and neither can be forgotten. What is given on the command line wins.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;
use wasm_gw_protocol::TrustedProxy;
use wasm_gw_runtime::DirGrant;

use crate::usage::Usage;
use crate::values::{self, AppFile, Pair, Size, Span};

/// Address space for more instances is not to be had.
pub(crate) const MOST_INSTANCES: u32 = 10_000;

/// What `serve` can be told. An option that is absent has the default that its text names.
#[derive(Clone, Debug, Default, clap::Args, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServeOptions {
    /// The application: a WebAssembly component that exports wasm-gw:gateway/app
    #[arg(value_name = "APP.WASM")]
    pub(crate) component: Option<PathBuf>,

    /// Answer under this path only [default: /]
    #[arg(long, value_name = "/PREFIX")]
    pub(crate) mount: Option<String>,

    /// Serve several applications, each under its own path; repeat it
    #[arg(long, value_name = "/PREFIX=FILE")]
    #[serde(deserialize_with = "values::apps")]
    #[schemars(with = "std::collections::BTreeMap<String, PathBuf>")]
    pub(crate) app: Vec<AppFile>,

    /// Serve the files of a folder under a path, without any guest; repeat it
    #[arg(id = "static", long = "static", value_name = "/PREFIX=FOLDER")]
    #[serde(rename = "static", deserialize_with = "values::apps")]
    #[schemars(with = "std::collections::BTreeMap<String, PathBuf>")]
    pub(crate) files: Vec<AppFile>,

    /// Serve a new version of a component as soon as its file has changed
    #[arg(long)]
    pub(crate) watch: bool,

    /// Where to listen: HOST:PORT or unix:/PATH; repeat it for several [default: 127.0.0.1:8080]
    #[arg(short, long, value_name = "ADDRESS")]
    #[serde(deserialize_with = "values::one_or_many")]
    #[schemars(with = "values::OneOrMany")]
    pub(crate) listen: Vec<String>,

    /// Where to answer /healthz, /readyz and /metrics: HOST:PORT or unix:/PATH [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) status_listen: Option<String>,

    /// An environment variable for the guest; repeat it. It gets no others
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Grants")]
    #[serde(deserialize_with = "values::pairs")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub(crate) env: Vec<Pair>,

    /// A folder that the guest may use under another name; repeat it. It gets no others
    #[arg(long, value_name = "HOST::GUEST[:ro]", help_heading = "Grants")]
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "values::OneOrMany")]
    pub(crate) dir: Vec<DirGrant>,

    /// Let instances have no /tmp. Else each has an empty one of its own, in memory and within --memory
    #[arg(long, help_heading = "Grants")]
    pub(crate) no_tmp: bool,

    /// A pair to add to each request's environ; repeat it. It never replaces what the request says
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Grants")]
    #[serde(deserialize_with = "values::pairs")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub(crate) environ: Vec<Pair>,

    /// Time for the guest to answer, and then for each next block [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a request")]
    pub(crate) timeout: Option<Span>,

    /// Time for a whole request, slow clients included [default: none]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a request")]
    pub(crate) max_duration: Option<Span>,

    /// Processor time of one request's guest [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a request")]
    pub(crate) cpu: Option<Span>,

    /// Time that a guest may run on for when its client has left [default: 1s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a request")]
    pub(crate) disconnect_grace: Option<Span>,

    /// Memory of one instance, with its files in /tmp [default: 256MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits of a request")]
    pub(crate) memory: Option<Size>,

    /// Log text of one request's guest [default: 256KiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits of a request")]
    pub(crate) max_log: Option<Size>,

    /// Request body [default: 64MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits of a request")]
    pub(crate) max_body: Option<Size>,

    /// Request target (path and query) [default: 8KiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits of a request")]
    pub(crate) max_target: Option<Size>,

    /// What an instance is for: a request, or many of its application one after the other [default: request]
    #[arg(long, value_name = "BY", help_heading = "Isolation")]
    pub(crate) isolation: Option<Isolation>,

    /// With --isolation app: requests that one instance serves [default: 1000]
    #[arg(long, value_name = "NUMBER", help_heading = "Isolation")]
    pub(crate) reuse_requests: Option<u32>,

    /// With --isolation app: how long one instance serves [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "Isolation")]
    pub(crate) reuse_time: Option<Span>,

    /// With --isolation app: memory beyond which an instance serves no more [default: half of --memory]
    #[arg(long, value_name = "SIZE", help_heading = "Isolation")]
    pub(crate) reuse_memory: Option<Size>,

    /// Memory of all instances together [default: 70 % of the machine's or the container's]
    #[arg(long, value_name = "SIZE", help_heading = "Limits of the server")]
    pub(crate) memory_total: Option<Size>,

    /// Cores that one application may use while others want to run [default: half of them]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits of the server")]
    pub(crate) cores: Option<usize>,

    /// Instances of one application at once [default: 1000]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits of the server")]
    pub(crate) concurrency: Option<u32>,

    /// Requests of one application that may wait for an instance [default: 1000]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits of the server")]
    pub(crate) queue: Option<usize>,

    /// How long one may wait for an instance [default: 5s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of the server")]
    pub(crate) queue_timeout: Option<Span>,

    /// Connections at once [default: from the limit on open files]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits of the server")]
    pub(crate) max_connections: Option<usize>,

    /// Connections from one address at once [default: a quarter of all]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits of the server")]
    pub(crate) max_connections_per_address: Option<usize>,

    /// Time for a request's head, from its first byte [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a client")]
    pub(crate) header_timeout: Option<Span>,

    /// Time that a connection may be idle between requests [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a client")]
    pub(crate) keep_alive_timeout: Option<Span>,

    /// Time between two pieces of a request's body [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a client")]
    pub(crate) body_timeout: Option<Span>,

    /// Time that a client may not read while there is something to read [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a client")]
    pub(crate) write_timeout: Option<Span>,

    /// Bytes a second that a client must send or take at least, where the server waits for it [default: 256]
    #[arg(long, value_name = "BYTES", help_heading = "Limits of a client")]
    pub(crate) min_rate: Option<Size>,

    /// Whom to believe who its client is: a network, an address, or unix; repeat it [default: nobody]
    #[arg(long, value_name = "CIDR", help_heading = "Behind a proxy")]
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "values::OneOrMany")]
    pub(crate) trusted_proxy: Vec<TrustedProxy>,

    /// Each connection begins with a PROXY header, from a trusted proxy
    #[arg(long, help_heading = "Behind a proxy")]
    pub(crate) proxy_protocol: bool,

    /// Time for requests in flight when the server is told to stop [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub(crate) graceful_timeout: Option<Span>,

    /// SERVER_NAME for requests without a Host header [default: the address listened on]
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// Send no Server header
    #[arg(long)]
    pub(crate) no_server_header: bool,

    /// The file that the access log is appended to; SIGHUP opens it anew [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,

    /// Form of the access log, and of the log on stderr [default: combined]
    #[arg(long, value_name = "FORM")]
    pub(crate) log_format: Option<LogFormat>,

    /// Folder for compiled code [default: wasm-gw in the user's cache folder]
    #[arg(long, value_name = "FOLDER", help_heading = "Compiled code and memory")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// The most that the folder may hold [default: 2GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Compiled code and memory")]
    pub(crate) cache_size: Option<Size>,

    /// Compile at each start
    #[arg(long, help_heading = "Compiled code and memory")]
    pub(crate) no_cache: bool,

    /// How instances get their memory [default: auto]
    #[arg(long, value_name = "HOW", help_heading = "Compiled code and memory")]
    pub(crate) allocator: Option<Allocator>,

    /// How a slot is made new between two requests [default: auto]
    #[arg(long, value_name = "HOW", help_heading = "Compiled code and memory")]
    pub(crate) reset: Option<Reset>,
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Isolation {
    /// One request: nothing of it is seen by another.
    #[default]
    Request,
    /// Many requests of its application: what one leaves in memory, the next finds.
    App,
}

/// The form of logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// Lines for people and for the tools that read Apache's.
    #[default]
    Combined,
    /// One JSON object a line.
    Json,
}

/// How instances get their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Allocator {
    /// In slots that are used again, where there is the address space for them.
    #[default]
    Auto,
    /// Mapped afresh for each instance: slower.
    OnDemand,
}

/// How a slot is made new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reset {
    /// What was written is found by PAGEMAP_SCAN (Linux 6.7), where the system has it.
    #[default]
    Auto,
    /// All that may have been written is written over.
    Overwrite,
}

/// A list of what the command line would take one by one.
fn parsed<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    values::one_or_many(from)?
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

impl ServeOptions {
    /// These options, and those of `file` where these say nothing.
    pub(crate) fn over(self, file: Self) -> Self {
        fn list<T>(ours: Vec<T>, file: Vec<T>) -> Vec<T> {
            if ours.is_empty() { file } else { ours }
        }
        // An application named on the command line replaces those of the file, in either form, and
        // does not stand where they did.
        let (component, app, mount) = if self.component.is_some() || !self.app.is_empty() {
            (self.component, self.app, self.mount)
        } else {
            (file.component, file.app, self.mount.or(file.mount))
        };
        // What the file says of instances that serve many requests is nothing to ones that do not.
        let reuses = self.isolation != Some(Isolation::Request);
        Self {
            component,
            app,
            mount,
            files: list(self.files, file.files),
            watch: self.watch || file.watch,
            listen: list(self.listen, file.listen),
            status_listen: self.status_listen.or(file.status_listen),
            env: list(self.env, file.env),
            dir: list(self.dir, file.dir),
            no_tmp: self.no_tmp || file.no_tmp,
            environ: list(self.environ, file.environ),
            timeout: self.timeout.or(file.timeout),
            max_duration: self.max_duration.or(file.max_duration),
            cpu: self.cpu.or(file.cpu),
            disconnect_grace: self.disconnect_grace.or(file.disconnect_grace),
            memory: self.memory.or(file.memory),
            max_log: self.max_log.or(file.max_log),
            max_body: self.max_body.or(file.max_body),
            max_target: self.max_target.or(file.max_target),
            isolation: self.isolation.or(file.isolation),
            reuse_requests: self
                .reuse_requests
                .or(file.reuse_requests.filter(|_| reuses)),
            reuse_time: self.reuse_time.or(file.reuse_time.filter(|_| reuses)),
            reuse_memory: self.reuse_memory.or(file.reuse_memory.filter(|_| reuses)),
            memory_total: self.memory_total.or(file.memory_total),
            cores: self.cores.or(file.cores),
            concurrency: self.concurrency.or(file.concurrency),
            queue: self.queue.or(file.queue),
            queue_timeout: self.queue_timeout.or(file.queue_timeout),
            max_connections: self.max_connections.or(file.max_connections),
            max_connections_per_address: self
                .max_connections_per_address
                .or(file.max_connections_per_address),
            header_timeout: self.header_timeout.or(file.header_timeout),
            keep_alive_timeout: self.keep_alive_timeout.or(file.keep_alive_timeout),
            body_timeout: self.body_timeout.or(file.body_timeout),
            write_timeout: self.write_timeout.or(file.write_timeout),
            min_rate: self.min_rate.or(file.min_rate),
            trusted_proxy: list(self.trusted_proxy, file.trusted_proxy),
            proxy_protocol: self.proxy_protocol || file.proxy_protocol,
            graceful_timeout: self.graceful_timeout.or(file.graceful_timeout),
            server_name: self.server_name.or(file.server_name),
            no_server_header: self.no_server_header || file.no_server_header,
            access_log: self.access_log.or(file.access_log),
            log_format: self.log_format.or(file.log_format),
            cache_dir: self.cache_dir.or(file.cache_dir),
            cache_size: self.cache_size.or(file.cache_size),
            no_cache: self.no_cache || file.no_cache,
            allocator: self.allocator.or(file.allocator),
            reset: self.reset.or(file.reset),
        }
    }

    /// Refuses what could serve nobody. Sockets may be given in place of `listen`.
    pub(crate) fn check(&self, sockets_are_given: bool) -> Result<(), Usage> {
        let numbers = [
            ("concurrency", self.concurrency.map(u64::from)),
            (
                "max-connections",
                self.max_connections.map(|number| number as u64),
            ),
            (
                "max-connections-per-address",
                self.max_connections_per_address.map(|number| number as u64),
            ),
            ("cores", self.cores.map(|number| number as u64)),
            ("reuse-requests", self.reuse_requests.map(u64::from)),
            ("reuse-memory", self.reuse_memory.map(|size| size.0)),
            ("memory", self.memory.map(|size| size.0)),
            ("memory-total", self.memory_total.map(|size| size.0)),
            ("max-target", self.max_target.map(|size| size.0)),
        ];
        let times = [
            ("timeout", self.timeout),
            ("max-duration", self.max_duration),
            ("cpu", self.cpu),
            ("reuse-time", self.reuse_time),
            ("header-timeout", self.header_timeout),
            ("body-timeout", self.body_timeout),
            ("write-timeout", self.write_timeout),
        ];
        let zero = numbers
            .iter()
            .find(|(_, number)| *number == Some(0))
            .map(|(name, _)| name);
        let none = |(_, time): &&(_, Option<Span>)| time.is_some_and(|time| time.0.is_zero());
        if let Some(name) = zero.or_else(|| times.iter().find(none).map(|(name, _)| name)) {
            return Err(Usage::of(format!(
                "{name} of 0 would serve nobody; leave it out for the default"
            )));
        }
        let bounds_reuse = [
            ("reuse-requests", self.reuse_requests.is_some()),
            ("reuse-time", self.reuse_time.is_some()),
            ("reuse-memory", self.reuse_memory.is_some()),
        ];
        if self.isolation.unwrap_or_default() == Isolation::Request
            && let Some((name, _)) = bounds_reuse.iter().find(|(_, is_given)| *is_given)
        {
            return Err(Usage::of(format!(
                "{name} is about instances that serve many requests, and here each serves one; \
                 say isolation app too, or leave it out"
            )));
        }
        if let Some(memory) = self.memory.filter(|memory| memory.0 > 4 << 30) {
            return Err(Usage::of(format!(
                "memory of {memory} is more than an instance can have: WebAssembly's ends at 4GiB"
            )));
        }
        if self
            .concurrency
            .is_some_and(|number| number > MOST_INSTANCES)
        {
            return Err(Usage::of(format!(
                "concurrency can be at most {MOST_INSTANCES}: there is address space for no more instances"
            )));
        }
        self.check_proxies(sockets_are_given)?;
        match self.server_name.as_deref() {
            Some(name) if name.is_empty() || name.contains(['/', '@', ',', ' ']) => Err(Usage::of(
                format!("server-name `{name}` is no name of a host: write example.com"),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a PROXY protocol that nobody could speak.
    fn check_proxies(&self, sockets_are_given: bool) -> Result<(), Usage> {
        if !self.proxy_protocol {
            return Ok(());
        }
        if self.trusted_proxy.is_empty() {
            return Err(Usage::of(
                "proxy-protocol needs a trusted-proxy: its header is believed of nobody else; say \
                 trusted-proxy 10.0.0.7, or whatever the proxy's address or network is",
            ));
        }
        // What was handed over at the start is of whatever kind it is.
        if sockets_are_given {
            return Ok(());
        }
        // Nothing said is TCP.
        let is_unix = |address: &&String| address.starts_with("unix:");
        let trusts_unix = self.trusted_proxy.iter().any(TrustedProxy::is_unix);
        let trusts_network = !self.trusted_proxy.iter().all(TrustedProxy::is_unix);
        let listens_on_tcp = self.listen.is_empty() || self.listen.iter().any(|a| !is_unix(&a));
        if listens_on_tcp && !trusts_network {
            return Err(Usage::of(
                "with proxy-protocol, nobody could connect over TCP: trusted-proxy has no network; \
                 add the proxy's, or listen on unix: only",
            ));
        }
        match self.listen.iter().find(is_unix) {
            Some(address) if !trusts_unix => Err(Usage::of(format!(
                "with proxy-protocol, nobody could connect to {address}: add trusted-proxy unix"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(component: &str, mount: Option<&str>) -> ServeOptions {
        ServeOptions {
            component: Some(component.into()),
            mount: mount.map(str::to_owned),
            ..ServeOptions::default()
        }
    }

    #[test]
    fn what_the_file_says_of_instances_that_are_used_again_can_be_unsaid() {
        let file = || ServeOptions {
            isolation: Some(Isolation::App),
            reuse_requests: Some(100),
            ..named("file.wasm", None)
        };
        let given = |isolation| ServeOptions {
            isolation,
            ..ServeOptions::default()
        };
        let options = given(Some(Isolation::Request)).over(file());
        assert_eq!(options.reuse_requests, None);
        options.check(false).unwrap();
        assert_eq!(given(None).over(file()).reuse_requests, Some(100));
    }

    #[test]
    fn a_proxy_protocol_that_nobody_could_speak_is_refused() {
        let check = |listen: &[&str], trusted: &[&str], wrong: Option<&str>| {
            let options = ServeOptions {
                listen: listen.iter().map(|&address| address.to_owned()).collect(),
                trusted_proxy: trusted.iter().map(|text| text.parse().unwrap()).collect(),
                proxy_protocol: true,
                ..ServeOptions::default()
            };
            let found = options.check(false).map_err(|error| error.to_string());
            match (found, wrong) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) if error.contains(part) => {}
                (found, _) => panic!("{listen:?} {trusted:?}: {found:?}"),
            }
        };
        let (tcp, unix) = ("0.0.0.0:80", "unix:/run/a.sock");
        check(&[], &[], Some("needs a trusted-proxy"));
        check(&[], &["10.0.0.7"], None);
        check(&[tcp], &["10.0.0.0/8", "fd00::/8"], None);
        check(&[], &["unix"], Some("nobody could connect over TCP"));
        check(
            &[tcp, unix],
            &["unix"],
            Some("nobody could connect over TCP"),
        );
        check(
            &[unix],
            &["10.0.0.7"],
            Some("nobody could connect to unix:/run/a.sock"),
        );
        check(&[tcp, unix], &["10.0.0.7"], Some("add trusted-proxy unix"));
        check(&[unix], &["unix"], None);
        check(&[tcp, unix], &["unix", "10.0.0.7"], None);
    }

    #[test]
    fn an_application_of_the_command_line_does_not_stand_at_the_file_s_mount() {
        let file = || named("file.wasm", Some("/file"));
        let options = named("given.wasm", None).over(file());
        assert_eq!(
            (options.component, options.mount),
            (Some("given.wasm".into()), None)
        );

        let app = ServeOptions {
            app: vec!["/a=a.wasm".parse().unwrap()],
            ..ServeOptions::default()
        };
        let options = app.over(file());
        assert_eq!((options.component, options.mount), (None, None));

        let elsewhere = ServeOptions {
            mount: Some("/b".to_owned()),
            ..ServeOptions::default()
        };
        let options = elsewhere.over(file());
        assert_eq!(options.component, Some("file.wasm".into()));
        assert_eq!(options.mount.as_deref(), Some("/b"));
    }
}
