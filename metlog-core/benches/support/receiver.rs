//! A receiver in a process of its own, so that its CPU time is not the client's: it counts the messages that arrive.
//!
//! It says where it listens, then answers each line on its input, a number, with how many messages it has got since it
//! started, as soon as they are that many or nothing has come for a while. It receives all the time.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use metlog_core::{
    link::{Frame, VERSIONS},
    wire::{batch::Batch, record::Record},
};

/// The word that makes a benchmark a receiver.
const ARGUMENT: &str = "--receive";

/// Nothing came for so long: what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a receiver that gets nothing looks at its input, in milliseconds.
const LOOK: i32 = 20;

/// Bytes that a sender may have unacknowledged.
const CREDIT: u64 = 8 * 1024 * 1024;

/// How messages are received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A PULL socket that takes frames.
    Pull,
    /// A ROUTER socket that writes batches to a file and acknowledges them when they are on disk.
    Router,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Router => "router",
        }
    }
}

/// A running receiver.
pub(crate) struct Receiver {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) endpoint: String,
    expected: u64,
}

impl Receiver {
    /// Starts one that listens at `endpoint`.
    pub(crate) fn start(kind: Kind, endpoint: &str) -> io::Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args([ARGUMENT, kind.name(), endpoint])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let gone = || io::Error::other("the receiver has no pipe");
        let input = process.stdin.take().ok_or_else(gone)?;
        let mut output = BufReader::new(process.stdout.take().ok_or_else(gone)?);
        let mut endpoint = String::new();
        output.read_line(&mut endpoint)?;
        Ok(Self { process, input, output, endpoint: endpoint.trim().to_owned(), expected: 0 })
    }

    /// Runs `send`, which sends `count` messages; returns when all have arrived.
    pub(crate) fn receives(&mut self, count: u32, send: impl FnOnce()) {
        self.expected += u64::from(count);
        let asked = writeln!(self.input, "{}", self.expected).and_then(|()| self.input.flush());
        asked.expect("the receiver reads");
        send();
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the receiver answers");
        assert_eq!(answer.trim(), self.expected.to_string(), "messages that arrived, and that were sent");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// In the process that [`Receiver::start`] made: receives until the input ends. False in any other process.
pub(crate) fn serve() -> bool {
    let arguments: Vec<String> = env::args().collect();
    let [_, word, kind, endpoint] = arguments.as_slice() else { return false };
    if word != ARGUMENT {
        return false;
    }
    let kind = if kind == Kind::Router.name() { Kind::Router } else { Kind::Pull };
    answer(kind, endpoint).expect("a receiver");
    true
}

fn answer(kind: Kind, endpoint: &str) -> Result<(), Box<dyn Error>> {
    let context = zmq::Context::new();
    let socket = context.socket(if kind == Kind::Pull { zmq::PULL } else { zmq::ROUTER })?;
    socket.set_rcvtimeo(LOOK)?;
    socket.bind(endpoint)?;
    println!("{}", socket.get_last_endpoint()?.unwrap_or_default());
    let (asked, questions) = mpsc::channel();
    thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| asked.send(line))
    });
    let mut store = Store { file: tempfile::tempfile()?, accepted: 0 };
    let (mut got, mut heard, mut expected) = (0, Instant::now(), None);
    loop {
        match questions.try_recv() {
            Ok(question) => {
                expected = Some(question.trim().parse::<u64>()?);
                heard = Instant::now();
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        let more = match kind {
            Kind::Pull => pull(&socket)?,
            Kind::Router => route(&socket, &mut store)?,
        };
        if let Some(more) = more {
            (got, heard) = (got + more, Instant::now());
        }
        if expected.is_some_and(|expected| got >= expected || heard.elapsed() > PATIENCE) {
            expected = None;
            println!("{got}");
        }
    }
}

/// What the ROUTER has taken: the bytes, and the last number of its one sender.
struct Store {
    file: File,
    accepted: u64,
}

/// Messages of the next frame; `None` when nothing comes.
fn pull(socket: &zmq::Socket) -> Result<Option<u64>, Box<dyn Error>> {
    match socket.recv_msg(0) {
        Ok(frame) => Ok(Some(count(&frame)?)),
        Err(zmq::Error::EAGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A batch says how many messages it has; bare records, as the floor sends them, are counted.
fn count(frame: &[u8]) -> Result<u64, Box<dyn Error>> {
    if frame.starts_with(b"MLB") {
        return Ok(Batch::parse(frame)?.header.count());
    }
    let (mut rest, mut count) = (frame, 0);
    while !rest.is_empty() {
        rest = Record::split(rest)?.1;
        count += 1;
    }
    Ok(count)
}

/// Takes all that is there, syncs it, and acknowledges the last batch of it.
fn route(socket: &zmq::Socket, store: &mut Store) -> Result<Option<u64>, Box<dyn Error>> {
    let (mut got, mut owed, mut flags) = (0, None, 0);
    loop {
        let peer = match socket.recv_bytes(flags) {
            Ok(peer) => peer,
            Err(zmq::Error::EAGAIN) if flags == 0 => return Ok(None),
            Err(zmq::Error::EAGAIN) => break,
            Err(error) => return Err(error.into()),
        };
        flags = zmq::DONTWAIT;
        let frame = socket.recv_msg(0)?;
        match Frame::decode(&frame)? {
            Frame::Hello { .. } => {
                let welcome =
                    Frame::Welcome { version: VERSIONS.1, accepted: store.accepted, credit: CREDIT };
                socket.send_multipart([peer, welcome.encode()], 0)?;
            }
            Frame::Batch { sequence, batch, .. } => {
                // One that comes again after a new connection is acknowledged again.
                if sequence > store.accepted {
                    store.file.write_all(batch)?;
                    store.accepted = sequence;
                    got += count(batch)?;
                }
                owed = Some(peer);
            }
            Frame::Ping => socket.send_multipart([peer, Frame::Pong.encode()], 0)?,
            _ => {}
        }
    }
    if let Some(peer) = owed {
        store.file.sync_data()?;
        socket.send_multipart([peer, Frame::Ack { sequence: store.accepted }.encode()], 0)?;
    }
    Ok(Some(got))
}
