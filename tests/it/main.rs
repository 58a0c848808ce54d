//! End to end, in one binary. What goes where:
//!
//! - `access_log`: the lines of the access log.
//! - `apart`: code that is compiled apart from the runtime, and apps that are not reached by a mount alone.
//! - `blocks`: blocks on their way: none held back, large bodies in bounded memory.
//! - `body_faults`: a body that does not arrive as it should.
//! - `body`: reading a request's body.
//! - `bounds_of_time`: the queue for an instance, the timeouts, and slow clients.
//! - `breaker`: an app that never answers is switched off, and on again.
//! - `budget`: what all guests take together has a bound, and so has each app's part in it.
//! - `build`: projects in Python become components, or their author is told why not.
//! - `cache`: compiled code on disk: used, not trusted, swept.
//! - `check`: what `wasm-gw check` finds, and what it does not.
//! - `cli`: the command as a process: what it says, refuses, and how it ends.
//! - `connection`: what a connection carries, until it closes or the server drains.
//! - `crowds`: many clients that mean no good.
//! - `disconnect`: what a guest that still works is told when its client goes, and when it is stopped.
//! - `embedding`: the runtime in servers of other people's, and without any.
//! - `environ`: the variables of a request, one by one.
//! - `errors`: what a client that asks wrongly is told.
//! - `expect`: `Expect: 100-continue` and other expectations.
//! - `fairness`: processor time: guests that never end keep nobody waiting, and are stopped.
//! - `faults`: what a guest does wrong, what the client sees of it and what the log says.
//! - `files`: files of a folder beside the applications, and no way out of it.
//! - `frameworks`: applications of Flask, Django, Bottle, Falcon and Pyramid, as people write them.
//! - `framing`: where a request ends, and what could make two readers differ.
//! - `hand_made`: components that no compiler makes: an adapter's, and tables that grow.
//! - `head_checks`: what `start-response` checks of status and headers, in which order.
//! - `headers`: what header fields become.
//! - `http_types`: guests written with the `http` crate's types.
//! - `isolation_by_app`: instances that serve many requests.
//! - `isolation`: what a guest has of the world, and what it can write to the log.
//! - `lifecycle`: `close`, and what a client that goes away does to a guest.
//! - `limits`: what a guest may hand to the host, and make it keep.
//! - `loading`: what a component may be, and what a refused one is told.
//! - `middleware_examples`: names, passwords and gzip by the examples.
//! - `middleware`: middleware composed with applications, rule by rule.
//! - `mounts`: which app a path reaches, and its URL as the app sees it.
//! - `nginx`: a real one in front, over TCP, a unix socket and the PROXY protocol.
//! - `packed`: files that a component brings along.
//! - `proxy`: what trusted proxies say of a client, and what nobody else can.
//! - `proxy_protocol`: connections that begin with a header of it, and those that do not.
//! - `python`: applications in Python, and what is particular to them.
//! - `recorder`: what middleware learns of a wrapped application's `start-response`.
//! - `reload`: new versions of a component while requests are under way.
//! - `response_framing`: how a response is framed for its client, and how a transfer breaks off.
//! - `service`: what a service manager is told, and when.
//! - `smoke`: one request through everything.
//! - `start_response`: when it may be called, and what becomes of status and headers.
//! - `status`: health, readiness and the numbers of the process, and when they are told.
//! - `takeover`: another process in place of a server, on the same sockets.
//! - `target`: request targets and Host.
//! - `tmpfs`: the `/tmp` of an instance: what it can, its bounds, and its end.
//! - `warm`: applications that have answered requests at the build.
//! - `write`: the body as an application gives it, against the length it announced.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod access_log;
mod apart;
mod bare;
mod blocks;
mod body;
mod body_faults;
mod bounds_of_time;
mod breaker;
mod budget;
mod build;
mod cache;
mod check;
mod cli;
mod connection;
mod crowds;
mod disconnect;
mod embedding;
mod environ;
mod errors;
mod expect;
mod fairness;
mod faults;
mod files;
mod frameworks;
mod framing;
mod hand_made;
mod head_checks;
mod headers;
mod http_types;
mod isolation;
mod isolation_by_app;
mod lifecycle;
mod limits;
mod loading;
mod middleware;
mod middleware_examples;
mod mounts;
#[cfg(target_os = "linux")]
mod nginx;
mod optimize;
mod packed;
mod proxy;
mod proxy_protocol;
mod python;
mod recorder;
mod reload;
mod response_framing;
mod service;
mod smoke;
mod start_response;
mod status;
mod takeover;
mod target;
mod tmpfs;
mod warm;
mod write;
