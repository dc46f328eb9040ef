//! Push and acked delivery to the sidecar itself, with its spool on this disk: what they cost the client's process, and how
//! long until messages are safe. Left out where no sidecar is built beside this benchmark.

use std::{
    cell::Cell,
    env,
    fmt::Write as _,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use cpu_time::{ProcessTime, ThreadTime};
use metlog_core::{
    Client,
    sender::{acked::Acked, zmq::Push},
};

use crate::{
    COUNT, NAP, SINGLE, TIMEOUT, client, flood,
    support::{Measure, ROUNDS, in_this_process, measure, message::send, per_operation},
};

/// An application that is not in a hurry sends so many messages at once, 10,000 a second, and so often. To sleep costs the
/// more, the shorter it is.
const BURST: u32 = 200;
const BURSTS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// A running sidecar in a folder of its own.
pub(crate) struct Sidecar {
    process: Child,
    folder: PathBuf,
}

impl Sidecar {
    /// Starts the one that was built as this benchmark was; `None` where there is none.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        // A benchmark runs from target/release/deps.
        let program = env::current_exe().ok()?.ancestors().nth(2)?.join("metlog-sidecar");
        if !program.exists() {
            return None;
        }
        let at = folder.display();
        let mut text = format!("data_dir = \"{at}/data\"\n[spool]\nmax_bytes = \"16 GiB\"\n");
        for (input, socket) in [("push", "push.sock"), ("link", "link.sock")] {
            writeln!(text, "[input.{input}]\nendpoints = [\"ipc://{at}/sidecar-{socket}\"]").ok()?;
        }
        for input in ["json_udp", "statsd_udp"] {
            writeln!(text, "[input.{input}]\naddress = \"127.0.0.1:0\"").ok()?;
        }
        fs::write(folder.join("sidecar.toml"), text).ok()?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(folder.join("sidecar.toml"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let sidecar = Self { process, folder: folder.to_owned() };
        let deadline = Instant::now() + TIMEOUT;
        while sidecar.ask().is_none() {
            assert!(Instant::now() < deadline, "the sidecar does not answer");
            thread::sleep(NAP);
        }
        Some(sidecar)
    }

    /// A client of it; `word` says which delivery.
    fn client(&self, word: &str) -> Client {
        connect(word, &self.folder)
    }

    /// How many messages lie on its disk.
    fn safe(&self) -> u64 {
        self.ask().expect("the sidecar answers")
    }

    fn ask(&self) -> Option<u64> {
        let mut stream = UnixStream::connect(self.folder.join("data/admin.sock")).ok()?;
        stream.write_all(b"GET /stats HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let stats: serde_json::Value = serde_json::from_str(body).ok()?;
        let ends = stats.get("safe")?.as_array()?.iter().map(|producer| producer.get(1)?.as_u64());
        ends.sum()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn connect(word: &str, folder: &Path) -> Client {
    let at = |socket: &str| vec![format!("ipc://{}/sidecar-{socket}", folder.display())];
    match word {
        "push" => client(Push { endpoints: at("push.sock") }),
        _ => client(Acked { endpoints: at("link.sock") }),
    }
}

/// [`COUNT`] messages until the sidecar's disk has them: CPU time of this process, and wall time.
fn deliver(client: &Client, sidecar: &Sidecar) -> (f64, f64) {
    let expected = sidecar.safe() + u64::from(COUNT);
    let (started, spent) = (Instant::now(), ProcessTime::now());
    flood(client, COUNT, 1);
    assert!(client.flush(TIMEOUT), "all has left");
    let asking = ThreadTime::now();
    while sidecar.safe() < expected {
        assert!(started.elapsed() < TIMEOUT, "messages are missing");
        thread::sleep(NAP);
    }
    let cpu = spent.elapsed().saturating_sub(asking.elapsed());
    (per_operation(cpu, COUNT), per_operation(started.elapsed(), COUNT))
}

/// CPU time of this process for a message, at 10,000 messages a second.
fn paced(client: &Client) -> f64 {
    in_this_process(BURST * BURSTS, || {
        for _ in 0..BURSTS {
            (0..BURST).for_each(|_| send(client));
            thread::sleep(PAUSE);
        }
    })
}

/// Wall time of one message and its flush.
fn single(client: &Client) -> f64 {
    let started = Instant::now();
    for _ in 0..SINGLE {
        send(client);
        assert!(client.flush(TIMEOUT), "it has left");
    }
    per_operation(started.elapsed(), SINGLE)
}

/// Everything, for both deliveries.
pub(crate) fn measures(sidecar: &Rc<Sidecar>) -> Vec<Measure<'static>> {
    let mut measures = Vec::new();
    for word in ["push", "acked"] {
        let (client, wall) = (Rc::new(sidecar.client(word)), Rc::new(Cell::new(f64::NAN)));
        let (sidecar, one, kept) = (Rc::clone(sidecar), Rc::clone(&client), Rc::clone(&wall));
        let both = move || {
            let (cpu, wall) = deliver(&client, &sidecar);
            kept.set(wall);
            cpu
        };
        let name = |what: &str| format!("sidecar, {word}: {what}");
        measures.push(measure(name("CPU"), both));
        measures.push(measure(name("wall until on its disk"), move || wall.get()));
        measures.push(measure(name("one message and its flush"), move || single(&one)));
    }
    measures
}

/// In a process of its own: delivers, so that its memory can be looked at, and its CPU time when it is not in a hurry.
pub(crate) fn deliver_only(word: &str, folder: &Path) {
    let client = connect(word, folder);
    let mut calm: Vec<f64> = (0..ROUNDS).map(|_| paced(&client)).collect();
    calm.sort_by(f64::total_cmp);
    print!("CPU at 10,000 a second {:.1} ns a message, ", calm.get(ROUNDS / 2).unwrap_or(&f64::NAN));
    for _ in 0..3 {
        flood(&client, COUNT, 1);
        assert!(client.flush(TIMEOUT), "all has left");
    }
    client.close(TIMEOUT);
}
