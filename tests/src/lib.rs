//! Starts the real daemons for whole-system tests: own data folders, own sockets, nothing left behind.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use metlog_core::{
    Client,
    sender::{acked::Acked, zmq::Push},
};
use metlog_pipeline::{
    admin::{self, StatsPage},
    audit::Audit,
};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything here may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The folder of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`]; `what` says what was waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The folder with the daemons, built once for all tests of this process.
#[must_use]
pub fn binaries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A test runs from target/<profile>/deps.
        let test = std::env::current_exe().unwrap_or_default();
        let profile = test.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned();
        let mut build = Command::new(env!("CARGO"));
        // The whole workspace, as `make` builds it: for a part of it cargo would choose other features and build anew.
        build.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(root());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status();
        assert!(built.is_ok_and(|status| status.success()), "cargo build of the daemons failed");
        profile
    })
}

/// A running daemon.
pub struct Daemon {
    name: &'static str,
    home: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// The daemon whose configuration lies in `home` under its name.
    ///
    /// # Panics
    /// When it does not come up; its log is in the message.
    #[must_use]
    pub fn start(name: &'static str, home: &Path) -> Self {
        let mut daemon = Self { name, home: home.to_owned(), child: None };
        daemon.restart();
        daemon
    }

    /// The command line of this daemon: `word`, and its configuration.
    #[must_use]
    pub fn command(&self, word: &str) -> Command {
        let mut command = Command::new(binaries().join(self.name));
        command.arg(word).arg("--config").arg(self.config_path());
        command
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.home.join(format!("{}.toml", self.name))
    }

    /// Sends it a signal, such as `HUP`.
    ///
    /// # Panics
    /// When it does not run.
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn signal(&self, signal: &str) {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{signal} failed");
    }

    /// The number of its process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).id()
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// When it does not come up; its log is in the message.
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn restart(&mut self) {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.log_path());
        let log = log.map_or_else(|_| Stdio::null(), Stdio::from);
        let child = self.command("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name)));
        let deadline = Instant::now() + PATIENCE;
        while self.try_stats().is_none() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{} did not start:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it without a warning (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _it_may_have_ended = child.kill();
            let _reaped = child.wait();
        }
    }

    /// Ends it in good order (SIGTERM) and gives back how it ended.
    ///
    /// # Panics
    /// When it does not end.
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut child = self.child.take().unwrap_or_else(|| panic!("{} does not run", self.name));
        let mut ended = None;
        wait_until("an orderly end", || {
            ended = child.try_wait().ok().flatten();
            ended.is_some()
        });
        ended.unwrap_or_else(|| panic!("{} did not end", self.name))
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.home.join(self.name)
    }

    fn try_stats(&self) -> Option<StatsPage> {
        admin::ask(&self.data_dir(), "/stats").ok()
    }

    /// Its page `/stats`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn stats(&self) -> StatsPage {
        self.try_stats().unwrap_or_else(|| panic!("{} does not answer:\n{}", self.name, self.log()))
    }

    /// Where an input listens.
    #[must_use]
    pub fn listening(&self, input: &str) -> String {
        let all = self.stats().listening;
        all.into_iter().find(|(name, _)| name == input).map(|(_, address)| address).unwrap_or_default()
    }

    /// Its balance.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn audit(&self) -> Audit {
        let audit = admin::ask(&self.data_dir(), "/audit");
        audit.unwrap_or_else(|error| panic!("{} does not answer: {error}\n{}", self.name, self.log()))
    }

    /// A page of its HTTP port: status and body.
    #[must_use]
    pub fn page(&self, path: &str) -> (u16, String) {
        let address = fs::read_to_string(self.data_dir().join("admin.address")).unwrap_or_default();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        match agent.get(format!("http://{address}{path}")).call() {
            Ok(mut answer) => {
                (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
            }
            Err(error) => (0, error.to_string()),
        }
    }

    /// The value of a counter, as Prometheus would read it; 0 when it has not been counted yet.
    #[must_use]
    pub fn counter(&self, series: &str) -> u64 {
        let (_, text) = self.page("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        // What has no labels has none in braces.
        line.and_then(|value| value.trim_start_matches("{}").trim().parse().ok()).unwrap_or(0)
    }

    /// What its file `messages.jsonl` holds, a message a line: the output of a grater that has no other.
    ///
    /// # Panics
    /// When a line is no JSON.
    #[must_use]
    #[expect(clippy::panic, reason = "fails the test")]
    pub fn delivered(&self) -> Vec<Value> {
        let mut text = String::new();
        let path = self.data_dir().join("messages.jsonl");
        if let Ok(mut file) = fs::File::open(path) {
            let _what_there_is = file.read_to_string(&mut text);
        }
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        whole.lines().filter(|line| !line.is_empty()).map(parse).collect()
    }

    fn log_path(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn runs_begun(daemon: &Daemon) -> usize {
    daemon.log().matches(" running\n").count()
}

/// Asks for a reload and waits until the next run has begun.
///
/// # Panics
/// When it does not begin, or the configuration is refused.
pub fn reload(daemon: &Daemon) {
    let refusals = || daemon.log().matches("was not reloaded").count();
    let before = (runs_begun(daemon), refusals());
    daemon.signal("HUP");
    wait_until("the next run", || {
        assert_eq!(refusals(), before.1, "{}", daemon.log());
        runs_begun(daemon) > before.0
    });
}

/// A sidecar that forwards to a grater, in a folder of their own. Their ZeroMQ sockets are files in it, so that either
/// can be restarted and found again; UDP ports are the system's choice.
pub struct System {
    home: TempDir,
    /// The sidecar.
    pub sidecar: Daemon,
    /// The grater.
    pub grater: Daemon,
}

/// What a test adds to the configurations.
#[derive(Default, Clone, Copy)]
pub struct Setup<'a> {
    /// Sections of the sidecar's file.
    pub sidecar: &'a str,
    /// Sections of the grater's file; empty: one file takes everything.
    pub grater: &'a str,
}

impl System {
    /// Both daemons, started.
    ///
    /// # Panics
    /// When one does not start.
    #[must_use]
    pub fn start(setup: Setup<'_>) -> Self {
        let home = Self::prepare(setup);
        let grater = Daemon::start("metlog-grater", home.path());
        let sidecar = Daemon::start("metlog-sidecar", home.path());
        Self { home, sidecar, grater }
    }

    /// A folder with both configurations.
    #[expect(clippy::panic, reason = "fails the test")]
    fn prepare(setup: Setup<'_>) -> TempDir {
        let home = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let at = home.path().display();
        let sidecar = format!(
            "data_dir = \"{at}/metlog-sidecar\"\n\
             [input.push]\nendpoints = [\"ipc://{at}/push.sock\"]\n\
             [input.link]\nendpoints = [\"ipc://{at}/link.sock\"]\n\
             [input.json_udp]\naddress = \"127.0.0.1:0\"\n\
             [input.statsd_udp]\naddress = \"127.0.0.1:0\"\n\
             [forward]\nendpoints = [\"ipc://{at}/grater.sock\"]\n{}",
            setup.sidecar.replace("HOME", &at.to_string())
        );
        let grater = format!(
            "data_dir = \"{at}/metlog-grater\"\n{}\n[input.link]\nendpoints = [\"ipc://{at}/grater.sock\"]\n",
            setup.grater.replace("HOME", &at.to_string())
        );
        for (name, text) in [("metlog-sidecar", sidecar), ("metlog-grater", grater)] {
            let written = fs::write(home.path().join(format!("{name}.toml")), text);
            assert!(written.is_ok(), "cannot write the configuration of {name}");
        }
        home
    }

    /// The folder both live in.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The endpoint of the sidecar's PULL socket.
    #[must_use]
    pub fn push_endpoint(&self) -> String {
        format!("ipc://{}/push.sock", self.home.path().display())
    }

    /// A client of the sidecar.
    #[must_use]
    pub fn client(&self, logger: &str) -> Client {
        Client::builder().logger(logger).sender(Push { endpoints: vec![self.push_endpoint()] }).build()
    }

    /// A client of the sidecar whose batches are acknowledged.
    #[must_use]
    pub fn acked_client(&self, logger: &str) -> Client {
        let endpoints = vec![format!("ipc://{}/link.sock", self.home.path().display())];
        let target = Acked { endpoints };
        Client::builder().logger(logger).sender(target).build()
    }

    /// What the grater's file holds, a message a line.
    ///
    /// # Panics
    /// When a line is no JSON.
    #[must_use]
    pub fn delivered(&self) -> Vec<Value> {
        self.grater.delivered()
    }

    /// The delivered messages of one type.
    #[must_use]
    pub fn delivered_of(&self, kind: &str) -> Vec<Value> {
        self.delivered().into_iter().filter(|message| text(message, "/type") == kind).collect()
    }

    /// What was counted by statsd under a name, all intervals of the roll-up added.
    #[must_use]
    pub fn counted(&self, name: &str) -> f64 {
        let rollups = self.delivered_of("statmetric");
        let mine = rollups.iter().filter(|rollup| text(rollup, "/fields/name") == name);
        mine.filter_map(|rollup| rollup.pointer("/fields/values/count")?.as_f64()).sum()
    }

    /// Waits until `count` messages of a type have been delivered.
    ///
    /// # Panics
    /// When they have not.
    #[must_use]
    pub fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} messages of type {kind}"), || self.delivered_of(kind).len() >= count);
        self.delivered_of(kind)
    }
}

/// The text at a JSON pointer, or nothing.
#[must_use]
pub fn text<'a>(message: &'a Value, pointer: &str) -> &'a str {
    message.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The unsigned number at a JSON pointer; `u64::MAX` when there is none.
#[must_use]
pub fn number(message: &Value, pointer: &str) -> u64 {
    message.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
}
