//! A real browser, driven by W3C `WebDriver`: JSON over HTTP to `chromedriver`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{Scratch, eventually, http::Connection, local, tools};

/// How long a browser may take to start on a busy machine.
const START: Duration = Duration::from_mins(1);

/// One at a time: a browser takes both cores while it starts, and other tests measure time.
static TURN: Semaphore = Semaphore::const_new(1);

/// A size of the window, in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewport {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A desktop's and a phone's.
pub(crate) const VIEWPORTS: [Viewport; 2] =
    [Viewport { name: "wide", width: 1280, height: 900 }, Viewport { name: "narrow", width: 390, height: 844 }];

/// A browser with one page. Dropping it ends it.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Its profile.
    scratch: Scratch,
    _turn: SemaphorePermit<'static>,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let turn = TURN.acquire().await.expect("a semaphore that is never closed");
        let scratch = Scratch::new("browser");
        let mut command = Command::new(tools::find("chromedriver"));
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut driver = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let mut lines = BufReader::new(driver.stdout.take().expect("a piped standard output")).lines();
        let port = async {
            while let Some(line) = lines.next_line().await.expect("a line of chromedriver") {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').parse().expect("a port");
                }
            }
            panic!("chromedriver ended before it told its port");
        };
        let address = local(timeout(START, port).await.expect("chromedriver tells its port"));
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut browser = Self { driver, address, session: String::new(), scratch, _turn: turn };
        let capabilities = capabilities(browser.scratch.path());
        let answer = browser.ask("POST", "/session", Some(&capabilities)).await;
        answer["sessionId"].as_str().expect("a session id").clone_into(&mut browser.session);
        browser
    }

    /// Goes to `url` and waits until the page is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url })).await;
    }

    /// The result of `script`, a function's body.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Waits until `script` is true; fails with what the page shows.
    pub(crate) async fn until(&self, script: &str, bound: Duration) {
        let what = format!("return {script}");
        let found = super::within(bound, async || (self.run(&what).await == true).then_some(())).await;
        if found.is_none() {
            let page = self.run("return document.body.innerText").await;
            panic!("not within {bound:?}: {script}; the page shows:\n{}", page.as_str().unwrap_or_default());
        }
    }

    /// What the console has said since it was asked last, violations of the page's policy among it.
    pub(crate) async fn console(&self) -> Vec<String> {
        let lines = self.command("/se/log", &json!({ "type": "browser" })).await;
        lines.as_array().expect("lines").iter().map(|line| line["message"].as_str().expect("text").to_owned()).collect()
    }

    /// A command of the `DevTools` protocol.
    pub(crate) async fn devtools(&self, name: &str, parameters: Value) -> Value {
        self.command("/goog/cdp/execute", &json!({ "cmd": name, "params": parameters })).await
    }

    pub(crate) async fn resize(&self, viewport: Viewport) {
        let Viewport { width, height, .. } = viewport;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// As a user who prefers a `dark` or a `light` page.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Photographs the page in both sizes and both schemes into `target/tmp/screenshots`, and asserts that it never
    /// scrolls sideways.
    pub(crate) async fn photograph(&self, name: &str) {
        for viewport in VIEWPORTS {
            self.resize(viewport).await;
            let wider = self.run("return document.documentElement.scrollWidth - window.innerWidth").await;
            assert!(wider.as_i64().expect("pixels") <= 0, "{name} is {wider} px wider than {viewport:?}");
            for scheme in ["light", "dark"] {
                self.prefer(scheme).await;
                let shot = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
                let image = decode(shot["data"].as_str().expect("an image"));
                assert!(image.starts_with(b"\x89PNG"), "no image");
                std::fs::write(screenshots().join(format!("{name}-{}-{scheme}.png", viewport.name)), image)
                    .expect("writing a screenshot");
            }
        }
        self.prefer("light").await;
        self.resize(VIEWPORTS[0]).await;
    }

    async fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), Some(body)).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let connect = async || Connection::open(self.address).await.ok();
        let mut connection = eventually("a connection to chromedriver", START, connect).await;
        let body = body.map(ToString::to_string).unwrap_or_default();
        connection.send(request(method, path, &body).as_bytes()).await.expect("sending to chromedriver");
        let answer = timeout(START, connection.receive_slowly()).await.expect("an answer of chromedriver in time");
        let answer = answer.expect("an answer of chromedriver");
        let value: Value = serde_json::from_slice(&answer.body).expect("an answer in JSON");
        assert_eq!(answer.status, 200, "{method} {path} {body}: {value}");
        value["value"].clone()
    }
}

/// The session ends first: the driver closes the browser then, and leaves it running where it is killed.
impl Drop for Browser {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.set_read_timeout(Some(START));
            let _ = stream.write_all(request("DELETE", &format!("/session/{}", self.session), "").as_bytes());
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.start_kill();
    }
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A profile of its own, nothing that calls home, and all of the console kept.
fn capabilities(profile: &Path) -> Value {
    let profile = profile.join("profile");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &format!("--user-data-dir={}", profile.display()),
    ];
    let options = json!({ "binary": tools::find("chromium"), "args": arguments });
    let first = json!({
        "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
    });
    json!({ "capabilities": { "alwaysMatch": first } })
}

fn screenshots() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&path).expect("creating the directory for screenshots");
    path
}

/// Base64 (RFC 4648, section 4), as far as a browser sends it: right, and padded.
fn decode(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0_u32);
    for letter in text.bytes().take_while(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter).expect("a letter of base64");
        held = held << 6 | u32::try_from(value).expect("below 64");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).expect("a byte"));
        }
    }
    bytes
}
