//! The daemon's own HTTP: `/livez`, `/readyz` and `/metrics` on loopback; `/stats`, `/audit` and `/tap`, which show content, on
//! a unix socket of mode 0660 in the data folder.

mod metrics;
mod tap;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use metlog_core::{Timestamp, wire::batch::Counts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::{TcpListener, UnixListener};
use tracing::info;

use tap::Taps;

use crate::{
    audit::Audit,
    config::{self, ConfigError},
    counters::Counters,
    cursor::SharedOutcomes,
    intake::Intake,
    ledger::Outcomes,
    stop::Stop,
    watchdog::Watchdog,
};

/// The section `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Where `/livez`, `/readyz` and `/metrics` listen; loopback only. Port 0 takes a free one.
    pub address: SocketAddr,
    /// A part that has work and does not move for so long is named in the log, `/metrics` and `/readyz`; 30 s by default.
    #[serde(deserialize_with = "config::duration")]
    pub stalled_after: Duration,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), stalled_after: Duration::from_secs(30) }
    }
}

impl AdminConfig {
    /// Says what is wrong with it.
    ///
    /// # Errors
    /// When the address is not loopback.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.address.ip().is_loopback() {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "admin.address {} is not on loopback, expected 127.0.0.1:<port>",
            self.address
        )))
    }
}

/// What the pages are made from.
#[derive(Clone)]
pub struct Admin {
    /// Spool and ledger.
    pub intake: Intake,
    /// What happened.
    pub counters: Counters,
    /// Of every consumer that answers for messages.
    pub outcomes: Vec<SharedOutcomes>,
    /// Where inputs listen, by name: ports the system chose are found here.
    pub listening: Vec<(String, String)>,
    /// All that they listen on, as the configuration has it.
    pub held: Vec<String>,
    /// Names what does not move.
    pub watchdog: Watchdog,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("listening", &self.listening).finish_non_exhaustive()
    }
}

/// `/stats`: numbers for people and scripts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatsPage {
    /// Where inputs listen.
    pub listening: Vec<(String, String)>,
    /// All that they listen on, as the configuration has it.
    #[serde(default)]
    pub held: Vec<String>,
    /// Last ordinal that is safe on disk.
    pub synced: u64,
    /// Last ordinal written.
    pub appended: u64,
    /// For every origin the number after the highest sequence number that is safe on disk.
    pub safe: Vec<(metlog_core::wire::batch::ProducerId, u64)>,
    /// What clients say they dropped after they had accepted it, by reason.
    #[serde(default)]
    pub dropped_by_clients: Counts,
    /// Datagrams the kernel had no room for, by input.
    #[serde(default)]
    pub kernel_dropped: BTreeMap<String, u64>,
    /// Parts that have work and do not move, and since how many seconds.
    #[serde(default)]
    pub stalled: BTreeMap<String, u64>,
}

/// The file in the data folder that holds the address of `/livez`, `/readyz` and `/metrics`.
const ADDRESS_FILE: &str = "admin.address";

impl Admin {
    /// The balance at this moment. Outcomes first: what arrives meanwhile is waiting.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let mut outcomes = Outcomes::default();
        self.outcomes.iter().for_each(|consumer| outcomes.merge(&consumer.lock()));
        Audit::new(&self.intake.ledger(), &outcomes, Timestamp::now().as_seconds())
    }

    fn stats(&self) -> StatsPage {
        // The ledger is read before the sync is awaited, so that all it tells is safe; without the sync nothing is.
        let ledger = self.intake.ledger();
        let spool = self.intake.spool();
        let appended = spool.appended();
        let synced = appended == 0 || spool.wait_synced(appended, Duration::from_secs(5));
        let origins = ledger.origins().filter(|_| synced);
        let safe = origins.map(|(producer, origin)| (*producer, origin.covered.end())).collect();
        let dropped_by_clients = ledger.dropped_by_clients();
        let listening = self.listening.clone();
        let stalled =
            self.watchdog.stalled().into_iter().map(|(part, time)| (part, time.as_secs())).collect();
        let held = self.held.clone();
        let dropped = |input: &str| self.counters.get("input_kernel_dropped", &[("input", input)]);
        let kernel_dropped = self.listening.iter().map(|(input, _)| (input.clone(), dropped(input)));
        let kernel_dropped = kernel_dropped.filter(|(_, count)| *count > 0).collect();
        StatsPage {
            listening,
            held,
            synced: spool.synced(),
            appended,
            safe,
            dropped_by_clients,
            kernel_dropped,
            stalled,
        }
    }

    /// Ready is who can take messages in: a stuck output is named, and harms nobody else.
    fn ready(&self) -> Result<String, String> {
        let spool = self.intake.spool();
        if spool.is_full() {
            let why = spool.stats().last_error.unwrap_or_else(|| "its bound is reached".to_owned());
            return Err(format!("the spool takes nothing: {why}"));
        }
        let stalled = self.watchdog.stalled();
        let names = |(part, time): (&String, &Duration)| {
            format!("{part} has work and has not moved for {} s\n", time.as_secs())
        };
        let named: String = stalled.iter().map(names).collect();
        if self.watchdog.blocks_intake().is_some() {
            return Err(named.trim_end().replace('\n', "; "));
        }
        Ok(format!("ready\n{named}"))
    }

    /// Serves until told to stop. The runtime is this thread's own.
    ///
    /// # Errors
    /// When the runtime cannot be had.
    pub fn serve(self, listeners: Listeners, stop: &Stop) -> io::Result<()> {
        let beat = self.watchdog.look_interval();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _guard = runtime.enter();
        let tcp = TcpListener::from_std(listeners.tcp)?;
        let unix = UnixListener::from_std(listeners.unix)?;
        let state = Arc::new(self);
        let open = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(&state));
        let taps = Taps::new(state.intake.spool().clone(), stop.clone());
        let content = Router::new().route("/stats", get(stats)).route("/audit", get(audit)).with_state(state);
        let content = content.merge(Router::new().route("/tap", get(tap::tap)).with_state(taps));
        runtime.spawn(async { axum::serve(tcp, open).await });
        runtime.spawn(async { axum::serve(unix, content).await });
        let (tell, mut told) = tokio::sync::oneshot::channel();
        stop.on_set(move || {
            let _has_ended = tell.send(());
        });
        runtime.block_on(async {
            // Coming back to ask is what the watchdog sees of this thread.
            while !stop.is_set() {
                let _either = tokio::time::timeout(beat, &mut told).await;
            }
        });
        Ok(())
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    match admin.ready() {
        Ok(said) => (StatusCode::OK, said),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Result<String, StatusCode> {
    aside(move || admin.metrics()).await
}

async fn stats(State(admin): State<Arc<Admin>>) -> Result<Json<StatsPage>, StatusCode> {
    aside(move || Json(admin.stats())).await
}

async fn audit(State(admin): State<Arc<Admin>>) -> Result<Json<Audit>, StatusCode> {
    aside(move || Json(admin.audit())).await
}

/// Runs what may wait for the disk or a lock beside the thread that answers `/livez`.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StatusCode> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// The bound sockets of the pages.
#[derive(Debug)]
pub struct Listeners {
    tcp: std::net::TcpListener,
    unix: std::os::unix::net::UnixListener,
    socket: PathBuf,
}

impl Listeners {
    /// Binds both, and leaves the TCP address in the data folder for those who look for it.
    ///
    /// # Errors
    /// When an address is in use; the message names it.
    pub fn bind(config: &AdminConfig, data_dir: &Path) -> io::Result<Self> {
        let named = |what: String| {
            move |source: io::Error| io::Error::new(source.kind(), format!("{what}: {source}"))
        };
        let address = config.address;
        let tcp = std::net::TcpListener::bind(address)
            .map_err(named(format!("cannot listen on admin.address {address}")))?;
        tcp.set_nonblocking(true)?;
        let socket = socket_path(data_dir);
        // The spool's lock says that no other daemon lives in this folder: a socket here is left over.
        let _was_not_there = fs::remove_file(&socket);
        let unix = std::os::unix::net::UnixListener::bind(&socket)
            .map_err(named(format!("cannot listen on {}", socket.display())))?;
        unix.set_nonblocking(true)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o660))?;
        let bound = tcp.local_addr()?;
        fs::write(data_dir.join(ADDRESS_FILE), bound.to_string())?;
        info!(address = %bound, socket = %socket.display(), "admin pages");
        Ok(Self { tcp, unix, socket })
    }

    /// The path of the unix socket, to be removed at the end.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }
}

/// Where a daemon's unix socket lies.
#[must_use]
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

/// Where `/livez`, `/readyz` and `/metrics` of the daemon in this folder are, or were when it last ran.
#[must_use]
pub fn address(data_dir: &Path) -> Option<String> {
    fs::read_to_string(data_dir.join(ADDRESS_FILE)).ok()
}

/// Asks a running daemon for a page of its unix socket that is JSON.
///
/// # Errors
/// When no daemon answers, or its answer is not what was asked for.
pub fn ask<T: DeserializeOwned>(data_dir: &Path, page: &str) -> io::Result<T> {
    let body = open(data_dir, page, Some(Duration::from_secs(30)))?;
    serde_json::from_reader(body)
        .map_err(|source| io::Error::other(format!("the answer to {page} is odd: {source}")))
}

/// Opens a page of a running daemon's unix socket; each read waits at most `patience`.
///
/// # Errors
/// When no daemon answers, or says why it does not give the page.
pub fn open(data_dir: &Path, page: &str, patience: Option<Duration>) -> io::Result<impl BufRead + use<>> {
    let path = socket_path(data_dir);
    let mut stream = UnixStream::connect(&path).map_err(|source| {
        io::Error::new(
            source.kind(),
            format!("no daemon answers on {} ({source}); is it running?", path.display()),
        )
    })?;
    stream.set_read_timeout(patience)?;
    // In HTTP 1.0 the body is what follows, as it is.
    write!(stream, "GET {page} HTTP/1.0\r\nHost: metlog\r\n\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    let mut header = String::new();
    while answer.read_line(&mut header)? > 2 {
        header.clear();
    }
    if status.split(' ').nth(1) == Some("200") {
        return Ok(answer);
    }
    let mut why = String::new();
    answer.read_to_string(&mut why)?;
    Err(io::Error::other(if why.is_empty() { status.trim().to_owned() } else { why.trim().to_owned() }))
}
