//! The carbon output against real TCP listeners: one that reads, one that closes, one that is down, one that is stuck.

use std::{
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    thread,
    time::Instant,
};

use metlog_core::{Fields, Severity, Timestamp};

use super::*;

/// Of both ends together: the kernel lets a receiver's grow only while somebody reads.
const MORE_THAN_SOCKET_BUFFERS: usize = 16 * 1024 * 1024;

fn message(kind: &str, payload: impl Into<Value>) -> Item {
    Item::from(Message {
        kind: kind.to_owned(),
        timestamp: Timestamp::from_nanos(0),
        logger: String::new(),
        severity: Severity::default(),
        payload: payload.into(),
        fields: Fields::new(),
        env_version: String::new(),
        pid: 0,
        hostname: String::new(),
    })
}

fn lines(payload: &str) -> Item {
    message("statmetric", payload)
}

fn output(address: SocketAddr, timeout: Duration) -> CarbonOutput {
    CarbonOutput::new(CarbonConfig { address: address.to_string().try_into().unwrap(), timeout })
}

fn listen() -> (TcpListener, CarbonOutput) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = output(listener.local_addr().unwrap(), Duration::from_secs(5));
    (listener, output)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(5);
    listener.set_nonblocking(true).unwrap();
    loop {
        match listener.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(false).unwrap();
                return connection;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(Instant::now() < deadline, "nobody connects");
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits for one connection and reads `count` lines of it; then the connection is closed.
fn read_lines(listener: &TcpListener, count: usize) -> Vec<String> {
    let connection = accept(listener);
    connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    BufReader::new(connection).lines().take(count).map(Result::unwrap).collect()
}

#[test]
fn lines_of_many_messages_arrive_in_order() {
    let (listener, mut output) = listen();
    let carbon = thread::spawn(move || read_lines(&listener, 4));
    let delivered = output.deliver(&[lines("a 1 10\nb 2.5 10\n"), lines(""), lines("c -3e2 10")]).unwrap();
    assert_eq!(delivered, Delivered::default());
    output.deliver(&[lines("\nd 4 20\r\n\n")]).unwrap();
    assert_eq!(carbon.join().unwrap(), ["a 1 10", "b 2.5 10", "c -3e2 10", "d 4 20"]);
}

#[test]
fn what_is_no_carbon_line_is_dead_and_the_rest_is_sent() {
    let (listener, mut output) = listen();
    let carbon = thread::spawn(move || read_lines(&listener, 2));
    let table = [
        (message("counter", "a 1 10\n"), Some("type is \"counter\", carbon takes \"statmetric\" only")),
        (lines("good 1 10\n"), None),
        (message("statmetric", 5), Some("payload is no text, expected carbon lines")),
        (lines("a 1 10\nb 1\n"), Some("payload line 2 is \"b 1\", expected \"name value seconds\"")),
        (lines("a nan 10"), Some("payload line 1 is \"a nan 10\", expected \"name value seconds\"")),
        (lines("a 1 10 11"), Some("payload line 1 is \"a 1 10 11\", expected \"name value seconds\"")),
        (lines("last 1 10\n"), None),
    ];
    let expected: Vec<(usize, String)> = table
        .iter()
        .enumerate()
        .filter_map(|(position, (_, reason))| reason.map(|reason| (position, reason.to_owned())))
        .collect();
    let messages: Vec<Item> = table.into_iter().map(|(message, _)| message).collect();
    assert_eq!(output.deliver(&messages).unwrap().dead, expected);
    assert_eq!(carbon.join().unwrap(), ["good 1 10", "last 1 10"]);
}

#[test]
fn a_connection_closed_in_mid_stream_is_opened_anew_and_nothing_lost() {
    let (listener, mut output) = listen();
    let carbon = thread::spawn(move || (read_lines(&listener, 1), listener));
    output.deliver(&[lines("a 1 10\n")]).unwrap();
    // Joined before the next delivery: the first connection is closed by then.
    let (first, listener) = carbon.join().unwrap();
    let carbon = thread::spawn(move || read_lines(&listener, 1));
    output.deliver(&[lines("b 2 20\n")]).unwrap();
    assert_eq!((first, carbon.join().unwrap()), (vec!["a 1 10".to_owned()], vec!["b 2 20".to_owned()]));
}

#[test]
fn a_carbon_that_is_down_is_an_error_until_it_is_up() {
    let (listener, mut output) = listen();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = output.deliver(&[lines("a 1 10\n")]).unwrap_err().error.to_string();
    assert!(error.starts_with(&format!("cannot connect to {address}: ")), "{error}");
    let listener = TcpListener::bind(address).unwrap();
    let carbon = thread::spawn(move || read_lines(&listener, 1));
    output.deliver(&[lines("a 1 10\n")]).unwrap();
    assert_eq!(carbon.join().unwrap(), ["a 1 10"]);
}

#[test]
fn nothing_to_send_needs_no_carbon() {
    let (listener, mut output) = listen();
    drop(listener);
    assert_eq!(output.deliver(&[message("counter", "1")]).unwrap().dead.len(), 1);
    assert_eq!(output.deliver(&[]).unwrap(), Delivered::default());
    assert_eq!(output.checkpoint().unwrap(), OutputState::Nothing);
}

#[test]
fn a_delivery_larger_than_the_socket_buffers_is_waited_for() {
    let (listener, mut output) = listen();
    let carbon = thread::spawn(move || read_lines(&listener, 2));
    output.deliver(&[lines("a 1 10\n")]).unwrap();
    let mut connection = output.connection().unwrap(); // asks, without waiting, whether the peer has closed
    let mut long = vec![b'x'; MORE_THAN_SOCKET_BUFFERS];
    long.push(b'\n');
    write_within(&mut connection, &long, Duration::from_secs(30)).unwrap();
    let lengths: Vec<usize> = carbon.join().unwrap().iter().map(String::len).collect();
    assert_eq!(lengths, [6, MORE_THAN_SOCKET_BUFFERS]);
}

#[test]
fn a_carbon_that_does_not_read_is_an_error_within_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut output = output(listener.local_addr().unwrap(), Duration::from_millis(200));
    let much = lines(&format!("{} 1 10\n", "x".repeat(MORE_THAN_SOCKET_BUFFERS)));
    let error = output.deliver(std::slice::from_ref(&much)).unwrap_err().error.to_string();
    assert!(error.contains("not all was taken within 200ms"), "{error}");
    // The half line is on a connection of its own; the next delivery begins a new one.
    let stuck = accept(&listener);
    let carbon = thread::spawn(move || read_lines(&listener, 1));
    output.deliver(&[lines("a 1 10\n")]).unwrap();
    assert_eq!(carbon.join().unwrap(), ["a 1 10"]);
    drop(stuck);
}
