//! A real server on a free port of the loopback, with one or several guests.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasm_gw_http::{AccessLog, AccessLogFormat, Address, Drained, HttpConfig, Server};
use wasm_gw_protocol::Mount;
use wasm_gw_runtime::{AllocatorChoice, App, AppConfig, CacheConfig, Runtime, RuntimeConfig, Site};

use crate::client::{Client, Response};
use crate::guests::{composed, guest};
use crate::{eventually, log};

/// One runtime for all tests of a process: a second one proves nothing more. Compiled guests are kept between runs.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    log::keep();
    Runtime::new(RuntimeConfig {
        cache: cache(),
        ..RuntimeConfig::default()
    })
    .unwrap()
});

fn cache() -> Option<CacheConfig> {
    let folder = std::path::Path::new(env!("GUESTS")).join("compiled");
    Some(CacheConfig::new(folder))
}

/// A runtime that counts no other test's instances, without slots that are kept.
pub fn runtime_of_its_own() -> Runtime {
    Runtime::new(RuntimeConfig {
        allocator: AllocatorChoice::OnDemand,
        cache: cache(),
        ..RuntimeConfig::default()
    })
    .unwrap()
}

/// The runtime that tests share.
pub fn runtime() -> Runtime {
    RUNTIME.clone()
}

/// What a test wants served, and how. `TestApp::of("echo").get("/").await` is a whole test.
pub struct TestApp {
    component: Component,
    config: AppConfig,
    http: HttpConfig,
    log_format: AccessLogFormat,
    more: Vec<(AppConfig, Vec<u8>)>,
    addresses: Vec<Address>,
    runtime: Option<Runtime>,
}

enum Component {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl TestApp {
    /// The guest of this name, with the default limits and no grants.
    pub fn of(name: &str) -> Self {
        Self::of_component(name, guest(name))
    }

    /// Middleware around an application, the outermost first.
    pub fn composed(names: &[&str]) -> Self {
        Self::of_component("composed", composed(names))
    }

    /// The component in this file, loaded as a file.
    pub fn of_file(path: &Path) -> Self {
        Self::made_of("file", Component::File(path.to_owned()))
    }

    /// Any component.
    pub fn of_component(name: &str, component: Vec<u8>) -> Self {
        Self::made_of(name, Component::Bytes(component))
    }

    fn made_of(name: &str, component: Component) -> Self {
        Self {
            component,
            config: AppConfig::new(name),
            http: HttpConfig::default(),
            log_format: AccessLogFormat::Combined,
            more: Vec::new(),
            addresses: vec![Address::Tcp(([127, 0, 0, 1], 0).into())],
            runtime: None,
        }
    }

    /// Changes the app's configuration.
    #[must_use]
    pub fn app(mut self, change: impl FnOnce(&mut AppConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Changes the server's configuration.
    #[must_use]
    pub fn http(mut self, change: impl FnOnce(&mut HttpConfig)) -> Self {
        change(&mut self.http);
        self
    }

    /// Mounts the app somewhere else than at the root.
    #[must_use]
    pub fn mounted(self, mount: &str) -> Self {
        let mount = Mount::parse(mount).unwrap();
        self.app(|app| app.mount = mount)
    }

    /// Serves another guest beside it.
    #[must_use]
    pub fn and(mut self, mount: &str, name: &str) -> Self {
        let mut config = AppConfig::new(name);
        config.mount = Mount::parse(mount).unwrap();
        self.more.push((config, guest(name)));
        self
    }

    /// Listens on a unix socket too.
    #[must_use]
    pub fn unix(mut self, path: PathBuf) -> Self {
        self.addresses.push(Address::Unix(path));
        self
    }

    /// Listens on this address instead of a free port of 127.0.0.1.
    #[must_use]
    pub fn on(mut self, address: SocketAddr) -> Self {
        self.addresses = vec![Address::Tcp(address)];
        self
    }

    /// Runs in a runtime of its own.
    #[must_use]
    pub fn in_runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Writes the access log as JSON.
    #[must_use]
    pub fn json_log(mut self) -> Self {
        self.log_format = AccessLogFormat::Json;
        self
    }

    /// Starts the server.
    pub async fn serve(self) -> TestServer {
        log::keep();
        let runtime = self.runtime.unwrap_or_else(runtime);
        let app = match self.component {
            Component::Bytes(bytes) => App::load(&runtime, self.config, &bytes),
            Component::File(path) => App::load_file(&runtime, self.config, &path),
        };
        let mut apps = vec![app.unwrap()];
        for (config, component) in self.more {
            apps.push(App::load(&runtime, config, &component).unwrap());
        }
        let access_log = Shared::default();
        let mut http = self.http;
        http.access_log = Some(AccessLog::new(self.log_format, access_log.clone()));
        let server = Server::bind(&self.addresses, http).unwrap();
        let address = server
            .local_addrs()
            .iter()
            .find_map(|address| match address {
                Address::Tcp(address) => Some(*address),
                Address::Unix(_) => None,
            })
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let site = Site::new(apps).unwrap();
        let task = tokio::spawn(server.serve(site, async {
            let _ = stopped.await;
        }));
        TestServer {
            address,
            access_log,
            stop: Some(stop),
            task,
        }
    }

    /// Serves, and sends one GET.
    pub async fn get(self, target: &str) -> Response {
        self.serve().await.get(target).await
    }
}

/// A server that runs until it is dropped or stopped.
pub struct TestServer {
    pub address: SocketAddr,
    access_log: Shared,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<Drained>>,
}

impl TestServer {
    /// A new connection.
    pub async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One GET on a connection of its own.
    pub async fn get(&self, target: &str) -> Response {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await
    }

    /// One POST on a connection of its own.
    pub async fn post(&self, target: &str, body: &[u8]) -> Response {
        let length = body.len();
        let mut request =
            format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        request.extend_from_slice(body);
        self.send(&request).await
    }

    /// These bytes on a connection of their own, and the first response to them.
    pub async fn send(&self, request: &(impl AsRef<[u8]> + ?Sized)) -> Response {
        let request = request.as_ref();
        let mut client = self.connect().await;
        // A server may answer and close before all of a request has been sent.
        let _ = client.try_send(request).await;
        client.response_to(request).await
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self) -> Drained {
        self.ask_to_stop();
        (&mut self.task).await.unwrap().unwrap()
    }

    /// Asks it to stop and goes on.
    pub fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// The access log so far.
    pub fn access_log(&self) -> String {
        self.access_log.text()
    }

    /// The access log line of this request, once it is written.
    pub async fn access_log_of(&self, request_id: &str) -> String {
        eventually("a line of the access log", || {
            let log = self.access_log.text();
            log.lines()
                .find(|line| line.contains(request_id))
                .map(str::to_owned)
        })
        .await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
