//! A page of the browser, as somebody in front of it sees and uses it.
//!
//! When it is dropped, nothing may have gone wrong in it: no error or warning on its console, nothing
//! that its content security policy forbids, no request that failed, none to another host.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use std::{fs, thread, time::Duration};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::browser::wire::{Event, Wire};
use crate::server::{PATIENCE, wait_for};

/// The screen on which the page is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

impl Look {
    pub const DESKTOP: Self = Self {
        width: 1280,
        height: 800,
        dark: false,
    };
    pub const PHONE: Self = Self {
        width: 360,
        height: 740,
        dark: false,
    };

    /// Small and large, by day and by night.
    pub const ALL: [Self; 4] = [
        Self::PHONE,
        Self::PHONE.dark(),
        Self::DESKTOP,
        Self::DESKTOP.dark(),
    ];

    /// Returns this look with a dark color scheme.
    pub const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

/// An open page.
pub struct Page {
    wire: Arc<Wire>,
    session: String,
    /// Whose page it is: tabs of one context share what the browser keeps.
    context: Value,
    look: Look,
    origin: String,
    /// Parts of addresses that may fail.
    may_fail: Vec<String>,
    /// Beginnings of addresses elsewhere that the page may lead to.
    may_visit: Vec<String>,
    /// Whether things are meant to go wrong.
    is_forgiven: bool,
}

impl Page {
    /// An empty page, on which later something of `origin` is shown.
    pub fn new(
        wire: Arc<Wire>,
        session: String,
        context: Value,
        origin: String,
        look: Look,
    ) -> Self {
        let page = Self {
            wire,
            session,
            context,
            look,
            origin,
            may_fail: Vec::new(),
            may_visit: Vec::new(),
            is_forgiven: false,
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let Look {
            width,
            height,
            dark,
        } = look;
        page.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}),
        );
        // What is touched has more room around it.
        page.call(
            "Emulation.setTouchEmulationEnabled",
            json!({"enabled": width < 600}),
        );
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        page.call("Emulation.setEmulatedMedia", json!({"features": features}));
        page
    }

    pub fn context(&self) -> &Value {
        &self.context
    }

    pub fn origin(&self) -> String {
        self.origin.clone()
    }

    pub fn look(&self) -> Look {
        self.look
    }

    /// Shows `path` of the server, and waits until it is there.
    pub fn go_to(&self, path: &str) {
        let url = format!("{}{path}", self.origin);
        let shown = self.call("Page.navigate", json!({"url": url}));
        assert!(shown.get("errorText").is_none(), "{url}: {shown}");
        self.wait_for("location.protocol !== 'about:' && document.readyState === 'complete'");
    }

    /// From now on requests to addresses with `part` in them may fail or be refused.
    pub fn may_fail(&mut self, part: &str) {
        self.may_fail.push(part.to_owned());
    }

    /// From now on the page may lead to addresses that begin like this.
    pub fn may_visit(&mut self, beginning: &str) {
        self.may_visit.push(beginning.to_owned());
    }

    /// The value of a JavaScript expression.
    pub fn evaluate(&self, expression: &str) -> Value {
        self.try_evaluate(expression)
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_evaluate(&self, expression: &str) -> Result<Value, String> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.wire.call(&self.session, "Runtime.evaluate", params)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(details.to_string()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub fn wait_for(&self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        let condition = format!("Boolean({condition})");
        // An error may mean that the page is just changing.
        while self.try_evaluate(&condition) != Ok(Value::Bool(true)) {
            assert!(
                Instant::now() < deadline,
                "waited too long for {condition}; the page says:\n{}\nand complains:\n{}",
                self.text("body"),
                self.complaints().join("\n")
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until what `selector` finds shows `part`.
    #[track_caller]
    pub fn wait_for_text(&self, selector: &str, part: &str) {
        let (selector, part) = (quoted(selector), quoted(part));
        self.wait_for(&format!(
            "document.querySelector({selector})?.innerText.includes({part})"
        ));
    }

    /// What somebody reads in the first element that `selector` finds.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let script = format!("document.querySelector({})?.innerText", quoted(selector));
        let text = self.evaluate(&script);
        let text = text.as_str();
        text.unwrap_or_else(|| panic!("nothing is {selector}"))
            .to_owned()
    }

    /// Clicks on the first element that `selector` finds, as a mouse does, once it can be clicked: it
    /// is enabled, and nothing covers it.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let selector = quoted(selector);
        let find = format!(
            "(() => {{
                const element = document.querySelector({selector});
                if (!element || element.disabled) return null;
                element.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = element.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const top = document.elementFromPoint(x, y);
                return box.width && (element.contains(top) || top?.contains(element)) ? [x, y] : null;
            }})()"
        );
        self.wait_for(&find);
        let place = self.evaluate(&find);
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left",
                    "buttons": buttons, "clickCount": 1}),
            );
        }
    }

    /// Moves the mouse to this place of the window.
    pub fn point_at(&self, x: u32, y: u32) {
        let moved = json!({"type": "mouseMoved", "x": x, "y": y});
        self.call("Input.dispatchMouseEvent", moved);
    }

    /// Presses a key: `Tab`, `Enter`, or a space.
    pub fn press(&self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            other => panic!("{other} is no key that is known here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text}),
            );
        }
    }

    /// Replaces what is in the field that `selector` finds.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        self.click(selector);
        self.evaluate(&format!(
            "document.querySelector({}).select()",
            quoted(selector)
        ));
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Runs a script in whatever is loaded from now on, before its own scripts.
    pub fn before_each_load(&self, script: &str) {
        self.call(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": script}),
        );
    }

    /// From the next load on the page has no scripts.
    pub fn forbid_scripts(&self) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        );
    }

    /// Lets a request to an address that fits `pattern` reach the server, and its answer be lost. `ask`
    /// makes the page send it.
    #[track_caller]
    pub fn lose_answer(&self, pattern: &str, ask: impl FnOnce()) {
        self.lose(pattern, ask, || ());
    }

    /// Runs `ask`, and holds back the requests of the page at matching addresses.
    #[track_caller]
    pub fn lose_answers(&self, pattern: &str, ask: impl FnOnce()) {
        self.lose(pattern, ask, || self.hold_back(&[pattern]));
    }

    #[track_caller]
    fn lose(&self, pattern: &str, ask: impl FnOnce(), before_lost: impl FnOnce()) {
        let patterns = json!([{"urlPattern": pattern, "requestStage": "Response"}]);
        let paused = || {
            let mut events = self.wire.events(&self.session);
            events.retain(|event| event.method == "Fetch.requestPaused");
            events
        };
        let before = paused().len();
        self.call("Fetch.enable", json!({"patterns": patterns}));
        ask();
        let request = wait_for("an answer to lose", || {
            let event = paused().into_iter().nth(before)?;
            Some(event.params["requestId"].clone())
        });
        before_lost();
        let failure = json!({"requestId": request, "errorReason": "ConnectionReset"});
        self.call("Fetch.failRequest", failure);
        self.call("Fetch.disable", json!({}));
    }

    /// From now on requests to addresses that fit `patterns` do not leave the browser; all others do.
    pub fn hold_back(&self, patterns: &[&str]) {
        self.call("Network.setBlockedURLs", json!({"urls": patterns}));
    }

    /// Shows this tab instead of the others of its window.
    pub fn bring_to_front(&self) {
        self.call("Page.bringToFront", json!({}));
    }

    /// Writes a picture of what is visible to `path`, as PNG.
    pub fn screenshot(&self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().expect("a picture");
        let picture = STANDARD.decode(data).expect("base64");
        fs::write(path, picture).expect("the picture can be written");
    }

    /// How many pixels wider the page is than what it is shown on. A phone makes `innerWidth` as large as the page.
    pub fn overflow(&self) -> i64 {
        let width = self.evaluate("document.documentElement.scrollWidth");
        let width = width.as_i64().expect("a number");
        (width - i64::from(self.look.width)).max(0)
    }

    /// What has gone wrong in the page.
    pub fn complaints(&self) -> Vec<String> {
        let events = self.wire.events(&self.session);
        let mut addresses = HashMap::new();
        let mut complaints = Vec::new();
        for Event { method, params, .. } in &events {
            let address = &mut addresses;
            let complaint = match method.as_str() {
                "Network.requestWillBeSent" => self.complaint_of_request(params, address),
                "Network.responseReceived" => self.complaint_of_response(params),
                "Network.loadingFailed" => self.complaint_of_failure(params, address),
                "Runtime.consoleAPICalled" => {
                    let bad = ["error", "warning", "assert"];
                    let is_bad = bad.contains(&params["type"].as_str().unwrap_or_default());
                    is_bad.then(|| format!("console: {}", params["args"]))
                }
                "Runtime.exceptionThrown" => {
                    Some(format!("exception: {}", params["exceptionDetails"]))
                }
                "Log.entryAdded" => complaint_of_log(&params["entry"]),
                _ => None,
            };
            complaints.extend(complaint);
        }
        complaints
    }

    /// From now on things may go wrong, also those that the browser tells late.
    pub fn forgive_all(&mut self) {
        self.is_forgiven = true;
    }

    fn complaint_of_request(
        &self,
        params: &Value,
        addresses: &mut HashMap<String, String>,
    ) -> Option<String> {
        let url = params["request"]["url"].as_str().unwrap_or_default();
        let id = params["requestId"].as_str().unwrap_or_default();
        addresses.insert(id.to_owned(), url.to_owned());
        let rest = url.strip_prefix(&self.origin);
        let is_ours = rest.is_some_and(|rest| rest.starts_with('/'));
        let is_inside = url.starts_with("data:") || url.starts_with("blob:");
        let is_ours = is_ours || self.may_visit.iter().any(|known| url.starts_with(known));
        (!is_ours && !is_inside).then(|| format!("asked somebody else: {url}"))
    }

    fn complaint_of_response(&self, params: &Value) -> Option<String> {
        let (url, status) = (&params["response"]["url"], &params["response"]["status"]);
        let is_bad = status.as_u64().is_some_and(|status| status >= 400);
        let url = url.as_str().unwrap_or_default();
        // What has become of a checkout that is over is told by an error. `GET /checkout` has no other conflict.
        let is_told = *status == 409 && url.contains("/checkout?code=");
        (is_bad && !is_told && !self.is_expected(url)).then(|| format!("{status}: {url}"))
    }

    fn complaint_of_failure(
        &self,
        params: &Value,
        addresses: &HashMap<String, String>,
    ) -> Option<String> {
        let url = addresses.get(params["requestId"].as_str().unwrap_or_default());
        let url = url.map(String::as_str).unwrap_or_default();
        let is_wanted = params["canceled"] == true || self.is_expected(url);
        (!is_wanted).then(|| format!("failed: {url}: {params}"))
    }

    fn is_expected(&self, url: &str) -> bool {
        self.may_fail.iter().any(|part| url.contains(part))
    }

    fn call(&self, method: &str, params: Value) -> Value {
        let result = self.wire.call(&self.session, method, params);
        result.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let complaints = self.complaints();
        if thread::panicking() {
            eprintln!("--- the page complained: {complaints:#?}");
        } else {
            assert!(self.is_forgiven || complaints.is_empty(), "{complaints:#?}");
        }
    }
}

/// Returns the complaint of a log entry, except for failed requests, which are checked apart.
fn complaint_of_log(entry: &Value) -> Option<String> {
    let is_bad = entry["level"] == "error" || entry["level"] == "warning";
    (is_bad && entry["source"] != "network").then(|| format!("log: {entry}"))
}

/// `text` as JavaScript writes it.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
