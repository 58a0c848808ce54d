//! A real browser: Chromium without a window, told what to do over two pipes, by the DevTools protocol.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Duration, Instant, sleep, timeout};

/// It starts on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// One tab of a browser that has no history and no cookies; it ends when it is dropped.
pub struct Browser {
    _child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    tab: Option<String>,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // It reads what it is told from descriptor 3 and answers on 4.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null", "sh"])
            .arg(program())
            .args([
                "--headless",
                // The pages are our own, and for root it has no sandbox.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // Whatever it keeps beside the profile.
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut browser = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            _child: child,
            tab: None,
            last: 0,
            _profile: profile,
        };
        let made = browser
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attach = json!({"targetId": made["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.tab = Some(attached["sessionId"].as_str().unwrap().to_owned());
        browser
    }

    /// Opens a page, and waits until it and what it needs have been loaded.
    pub async fn open(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url})).await;
        assert_eq!(went.get("errorText"), None, "{url}: {went}");
        self.shows(&format!("location.href === {}", json!(url)))
            .await;
    }

    /// Types into a field, as by keys.
    pub async fn write(&mut self, selector: &str, text: &str) {
        self.eval(&format!(
            "document.querySelector({}).focus()",
            json!(selector)
        ))
        .await;
        self.call("Input.insertText", json!({"text": text})).await;
    }

    pub async fn click(&mut self, selector: &str) {
        self.eval(&format!(
            "document.querySelector({}).click()",
            json!(selector)
        ))
        .await;
    }

    /// Waits until a whole page has been loaded of which this expression of JavaScript is true.
    pub async fn shows(&mut self, condition: &str) {
        let begin = Instant::now();
        let expression = format!("document.readyState === 'complete' && ({condition})");
        while self.try_eval(&expression).await != Ok(Value::Bool(true)) {
            if begin.elapsed() > PATIENCE {
                let html = self.eval("document.documentElement.outerHTML").await;
                panic!("waited in vain for `{condition}` in {html}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The value of an expression of JavaScript.
    pub async fn eval(&mut self, expression: &str) -> Value {
        self.try_eval(expression).await.unwrap()
    }

    async fn try_eval(&mut self, expression: &str) -> Result<Value, String> {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let mut result = self.try_call("Runtime.evaluate", parameters).await?;
        match result.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}")),
            None => Ok(result["result"]["value"].take()),
        }
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).await.unwrap()
    }

    async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(tab) = &self.tab {
            message["sessionId"] = json!(tab);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        if self.to.write_all(&text).await.is_err() {
            none();
        }
        loop {
            let mut answer = Vec::new();
            let read = timeout(PATIENCE, self.from.read_until(0, &mut answer));
            let read = read.await.expect("the browser answers in time");
            if read.unwrap() == 0 {
                none();
            }
            answer.pop();
            let mut answer: Value = serde_json::from_slice(&answer).unwrap();
            // The others are events.
            if answer["id"] == self.last {
                return match answer.get("error") {
                    Some(error) => Err(format!("{method}: {error}")),
                    None => Ok(answer["result"].take()),
                };
            }
        }
    }
}

/// Debian calls it the first, others the rest.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut found = names.into_iter().flat_map(|name| {
        let folders = std::env::split_paths(&path);
        folders.map(move |folder| folder.join(name))
    });
    found.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no Chromium: `cargo xtask test` installs it on Debian, or do it by hand: \
             apt-get install chromium"
        )
    })
}

fn none() -> ! {
    panic!(
        "the browser ended; see what `chromium --headless --no-sandbox --dump-dom about:blank` says"
    )
}
