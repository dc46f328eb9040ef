//! The client over real sockets: what arrives, in which order, and what happens when nobody is there.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not know for tests"
)]

use std::{
    collections::BTreeMap,
    net::UdpSocket,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use metlog_core::{
    Client, Message, Options, Value,
    config::Settings,
    fields,
    sender::{
        stream::Stream,
        udp::Udp,
        zmq::{Publish, Push},
    },
    stats::Reason,
    wire::{
        batch::{Batch, Header},
        json::from_json,
    },
};

/// Generous: what is waited for comes in milliseconds unless it never comes.
const SOON: Duration = Duration::from_secs(20);

/// A PULL socket as the sidecar has one.
struct Receiver {
    socket: zmq::Socket,
    _context: zmq::Context,
}

impl Receiver {
    fn bind(endpoint: &str) -> Self {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::PULL).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(20).unwrap();
        // A port or path that was in use a moment ago may need another.
        until("bound", || socket.bind(endpoint).is_ok());
        Self { socket, _context: context }
    }

    fn endpoint(&self) -> String {
        self.socket.get_last_endpoint().unwrap().unwrap()
    }

    /// Everything that arrives until `count` messages are here.
    fn take(&self, count: usize) -> Vec<(Header, Vec<(u64, Message)>)> {
        let (mut batches, mut found) = (Vec::new(), 0);
        until("all messages received", || {
            batches.extend(self.next().inspect(|(_, messages): &(Header, Vec<_>)| found += messages.len()));
            found >= count
        });
        batches
    }

    fn messages(&self, count: usize) -> Vec<Message> {
        self.take(count).into_iter().flat_map(|(_, messages)| messages).map(|(_, message)| message).collect()
    }

    fn next(&self) -> Option<(Header, Vec<(u64, Message)>)> {
        let frame = self.socket.recv_bytes(0).ok()?;
        assert!(!self.socket.get_rcvmore().unwrap(), "a batch is one frame");
        let batch = Batch::parse(&frame).unwrap();
        let messages = batch.messages().map(|(sequence, message)| (sequence, message.unwrap())).collect();
        Some((batch.header, messages))
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        std::thread::yield_now();
    }
}

/// An endpoint of each kind that nobody is bound to, with the folder that must outlive it.
fn endpoints() -> Vec<(String, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}/push.sock", folder.path().display());
    let tcp = Receiver::bind("tcp://127.0.0.1:*").endpoint();
    vec![(tcp, tempfile::tempdir().unwrap()), (ipc, folder)]
}

fn client(endpoints: &[&str], settings: Settings) -> Client {
    let endpoints = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
    Client::builder().logger("zmq").sender(Push { endpoints }).settings(settings).build()
}

fn send(client: &Client, thread: usize, numbers: std::ops::Range<usize>) {
    let thread = Value::Int(i128::try_from(thread).unwrap());
    for number in numbers {
        let number = Value::Int(i128::try_from(number).unwrap());
        client.metlog(
            "test",
            Options { fields: fields(&[("thread", &thread), ("number", &number)]), ..Options::default() },
        );
    }
}

fn number(message: &Message, field: &str) -> i128 {
    match message.fields.get(field) {
        Some(Value::Int(number)) => *number,
        other => panic!("{field} is {other:?}"),
    }
}

/// Asserts that each thread's numbers are 0, 1, 2, ... `count`.
fn assert_once_and_in_order(messages: &[Message], threads: usize, count: usize) {
    let mut next = BTreeMap::new();
    for message in messages {
        let expected = next.entry(number(message, "thread")).or_insert(0);
        assert_eq!(number(message, "number"), *expected);
        *expected += 1;
    }
    let last = i128::try_from(count).unwrap();
    assert_eq!(next.into_values().collect::<Vec<_>>(), vec![last; threads]);
}

#[test]
fn every_message_arrives_once_and_in_the_order_of_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    for endpoint in ["tcp://127.0.0.1:*".to_owned(), format!("ipc://{}/push.sock", folder.path().display())] {
        let receiver = Receiver::bind(&endpoint);
        let client = client(&[&receiver.endpoint()], Settings::default());
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let client = client.clone();
                std::thread::spawn(move || send(&client, thread, 0..2_500))
            })
            .collect();
        let batches = receiver.take(10_000);
        threads.into_iter().for_each(|thread: JoinHandle<()>| thread.join().unwrap());
        assert_eq!(client.close(SOON).sent, 10_000);

        let mut next = 0;
        for (header, messages) in &batches {
            assert_eq!(header.first_sequence, next, "batches are contiguous");
            assert!(messages.iter().map(|(sequence, _)| *sequence).eq(next..header.end()));
            next = header.end();
        }
        let messages: Vec<_> =
            batches.into_iter().flat_map(|(_, messages)| messages).map(|(_, message)| message).collect();
        assert_once_and_in_order(&messages, 4, 2_500);
        let (last, rest) = receiver.take(0).pop().or_else(|| receiver.next()).unwrap();
        assert!(last.last && rest.is_empty(), "the end is told, and nothing came twice: {last:?}");
        assert_eq!((last.attempted, last.refused.len()), (10_000, 0));
    }
}

#[test]
fn messages_wait_for_a_receiver_that_starts_later() {
    for (endpoint, _folder) in endpoints() {
        let client = client(&[&endpoint], Settings::default());
        send(&client, 0, 0..1_000);
        assert!(!client.flush(Duration::from_millis(50)), "nobody is there");
        assert_eq!(client.stats().waiting, 1_000);
        let receiver = Receiver::bind(&endpoint);
        assert_once_and_in_order(&receiver.messages(1_000), 1, 1_000);
        assert!(client.flush(SOON));
        assert_eq!(client.close(SOON).sent, 1_000);
    }
}

#[test]
fn without_a_receiver_calls_return_memory_is_bounded_and_close_keeps_its_time() {
    for (endpoint, _folder) in endpoints() {
        let settings = Settings { queue_bytes: 256 * 1024, ..Settings::default() };
        let client = client(&[&endpoint], settings);
        let mut slowest = Duration::ZERO;
        for n in 0..20_000 {
            let start = Instant::now();
            send(&client, 0, n..n + 1);
            slowest = slowest.max(start.elapsed());
        }
        assert!(slowest < Duration::from_secs(2), "a call waited: {slowest:?}");
        let stats = client.stats();
        assert_eq!((stats.attempted, stats.accepted + stats.refused.get(Reason::Full)), (20_000, 20_000));
        // A record of these is 40 bytes at least.
        assert!(stats.waiting <= 256 * 1024 / 40 && stats.sent == 0, "{stats:?}");

        let start = Instant::now();
        let report = client.close(Duration::from_millis(200));
        assert!(start.elapsed() < Duration::from_secs(2), "close took {:?}", start.elapsed());
        assert_eq!((report.sent, report.waiting, report.dropped), (0, 0, stats.accepted));
    }
}

#[test]
fn a_client_finds_its_receiver_again() {
    for (endpoint, _folder) in endpoints() {
        let settings = Settings { batch_messages: 10, ..Settings::default() };
        let client = client(&[&endpoint], settings);
        send(&client, 0, 0..10);
        let first = Receiver::bind(&endpoint);
        assert_eq!(first.messages(10).len(), 10);
        drop(first);

        // What lies in the socket when a receiver dies may be lost; what is sent once it is known to be gone is not.
        let mut sent = 10;
        until("the loss of the receiver is noticed", || {
            send(&client, 0, sent..sent + 1);
            sent += 1;
            !client.flush(Duration::from_millis(250))
        });
        let noticed = client.stats().sent;
        send(&client, 0, sent..sent + 100);
        sent += 100;
        let second = Receiver::bind(&endpoint);
        assert!(client.flush(SOON));
        client.close(SOON);
        let messages = second.messages(sent - usize::try_from(noticed).unwrap());
        let numbers: Vec<_> = messages.iter().map(|message| number(message, "number")).collect();
        assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert_eq!(numbers.last(), Some(&(i128::try_from(sent).unwrap() - 1)));
        assert_eq!(client.stats().sent, u64::try_from(sent).unwrap(), "nothing was given up");
    }
}

#[test]
fn batches_go_round_two_receivers() {
    let receivers = [Receiver::bind("tcp://127.0.0.1:*"), Receiver::bind("tcp://127.0.0.1:*")];
    let endpoints = receivers.each_ref().map(Receiver::endpoint);
    let settings = Settings { batch_messages: 10, ..Settings::default() };
    let client = client(&[&endpoints[0], &endpoints[1]], settings);
    let mut got = [Vec::new(), Vec::new()];
    let mut sent = 0;
    until("both have got messages", || {
        send(&client, 0, sent..sent + 100);
        sent += 100;
        assert!(client.flush(SOON));
        for (receiver, got) in receivers.iter().zip(&mut got) {
            got.extend(receiver.next().into_iter().flat_map(|(_, messages)| messages));
        }
        got.iter().all(|got| !got.is_empty())
    });
    client.close(SOON);
    let mut all = got.concat();
    until("everything is here", || {
        let more = receivers.iter().filter_map(Receiver::next).flat_map(|(_, messages)| messages);
        all.extend(more);
        all.len() >= sent
    });
    all.sort_by_key(|(sequence, _)| *sequence);
    let messages: Vec<_> = all.into_iter().map(|(_, message)| message).collect();
    assert_once_and_in_order(&messages, 1, sent);
}

fn assert_one_message_of_nine_keys(json: &[u8]) {
    let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).unwrap();
    assert_eq!(keys.len(), 9, "{keys:?}");
    let read = from_json(json).unwrap();
    assert_eq!((read.misfits, read.message.kind.as_str()), (0, "test"));
    assert_eq!(read.message.pid, i64::from(std::process::id()));
}

#[test]
fn a_subscriber_hears_single_frames_of_json() {
    for bind in [true, false] {
        let context = zmq::Context::new();
        let subscriber = context.socket(zmq::SUB).unwrap();
        subscriber.set_subscribe(b"").unwrap();
        subscriber.set_rcvtimeo(20).unwrap();
        let endpoint = if bind {
            let free = Receiver::bind("tcp://127.0.0.1:*").endpoint();
            subscriber.connect(&free).unwrap();
            free
        } else {
            subscriber.bind("tcp://127.0.0.1:*").unwrap();
            subscriber.get_last_endpoint().unwrap().unwrap()
        };
        let publish = Publish { endpoints: vec![endpoint], bind };
        let client = Client::builder().sender(publish).build();
        let mut heard = None;
        // A PUB socket says nothing to those who have not subscribed yet.
        until("something is heard", || {
            send(&client, 0, 0..1);
            heard = subscriber.recv_bytes(0).ok();
            heard.is_some()
        });
        assert!(!subscriber.get_rcvmore().unwrap(), "one frame a message");
        assert_one_message_of_nine_keys(&heard.unwrap());
        client.close(SOON);
    }
}

#[test]
fn datagrams_are_one_json_message_each_to_every_destination() {
    for newline in [false, true] {
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let destination = |socket: &UdpSocket| ("127.0.0.1".to_owned(), socket.local_addr().unwrap().port());
        let destinations = sockets.iter().map(destination).collect();
        let client = Client::builder().sender(Udp { destinations, newline }).build();
        send(&client, 0, 0..20);
        client.info(&"x".repeat(70_000));
        client.close(SOON);
        let stats = client.stats();
        assert_eq!(
            (stats.sent, stats.dropped.get(Reason::TooBig)),
            (20, 1),
            "a datagram has 65,507 bytes at most"
        );
        for socket in sockets {
            socket.set_read_timeout(Some(SOON)).unwrap();
            for expected in 0..20 {
                let mut buffer = [0; 2_000];
                let length = socket.recv(&mut buffer).unwrap();
                let json = &buffer[..length];
                assert_eq!(json.ends_with(b"\n"), newline);
                assert_one_message_of_nine_keys(json);
                assert_eq!(number(&from_json(json).unwrap().message, "number"), expected);
            }
        }
    }
}

#[test]
fn a_file_gets_one_line_of_json_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.json");
    for _ in 0..2 {
        let client = Client::builder().sender(Stream::File(path.clone())).build();
        send(&client, 0, 0..100);
        client.close(SOON);
        assert_eq!(client.stats().sent, 100);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n'));
    assert_eq!(text.lines().count(), 200, "a second client appends");
    text.lines().for_each(|line| assert_one_message_of_nine_keys(line.as_bytes()));
}

#[test]
fn a_target_that_cannot_be_opened_drops_and_counts() {
    let nowhere = tempfile::tempdir().unwrap().path().join("gone/messages.json");
    let unresolved = Udp { destinations: vec![("host.invalid".to_owned(), 1)], newline: false };
    let clients = [
        Client::builder().sender(Stream::File(nowhere)).build(),
        Client::builder().sender(unresolved).build(),
        client(&["nonsense"], Settings::default()),
    ];
    for client in clients {
        send(&client, 0, 0..10);
        let report = client.close(SOON);
        assert_eq!((report.sent, report.waiting, report.dropped), (0, 0, 10), "{client:?}");
    }
}
