//! The carbon output against real TCP listeners: one that reads, one that closes, one that is down, one that is stuck.

use std::{
    io::{self, BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Instant,
};

use metlog_core::{Fields, Severity, Timestamp};

use super::*;

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

fn config(address: SocketAddr, timeout: Duration, protocol: CarbonProtocol) -> CarbonConfig {
    let address = address.to_string().try_into().unwrap();
    let (max_packet_bytes, packets_per_second) = (ByteSize::b(20), default_rate());
    CarbonConfig { address, protocol, timeout, max_packet_bytes, packets_per_second }
}

fn output(address: SocketAddr, timeout: Duration) -> CarbonOutput {
    CarbonOutput::new(config(address, timeout, CarbonProtocol::Tcp))
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
    let carbon = thread::spawn(move || read_lines(&listener, 2));
    output.deliver(&[lines("b 2 20\n")]).unwrap();
    // What was written just before the close comes twice: carbon overwrites the point.
    assert_eq!(first, ["a 1 10"]);
    assert_eq!(carbon.join().unwrap(), ["a 1 10", "b 2 20"]);
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
fn packets_hold_whole_lines_and_stay_below_their_bound() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let address = socket.local_addr().unwrap();
    let mut output = CarbonOutput::new(config(address, Duration::from_secs(1), CarbonProtocol::Udp));
    output.deliver(&[lines("a 1 10\nb 2 10\nc 3 10\n"), lines("long.name 4 10")]).unwrap();
    let mut packet = [0; 100];
    let mut receive = || {
        let length = socket.recv(&mut packet).unwrap();
        String::from_utf8(packet[..length].to_vec()).unwrap()
    };
    assert_eq!([receive(), receive()], ["a 1 10\nb 2 10\n", "c 3 10\n"]);
    assert_eq!(receive(), "long.name 4 10\n");
}

/// The bytes are what Python's `pickle.loads` reads back; carbon's own unpickler is asked in tests/backends.
#[test]
fn pickles_are_framed_by_their_length() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut output = CarbonOutput::new(config(address, Duration::from_secs(5), CarbonProtocol::Pickle));
    let carbon = thread::spawn(move || {
        let mut connection = accept(&listener);
        let mut length = [0; 4];
        connection.read_exact(&mut length).unwrap();
        let mut pickle = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
        connection.read_exact(&mut pickle).unwrap();
        pickle
    });
    output.deliver(&[lines("a 1.5 10\nb -2 11\n")]).unwrap();
    let read: Vec<(String, (f64, f64))> =
        serde_pickle::from_slice(&carbon.join().unwrap(), serde_pickle::DeOptions::new()).unwrap();
    assert_eq!(read, [("a".to_owned(), (10.0, 1.5)), ("b".to_owned(), (11.0, -2.0))]);
}
