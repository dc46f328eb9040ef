//! A stream against real TCP listeners: one that closes, one that breaks, one that is stuck, one that is slow.

use std::{
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    thread,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn stream(listener: &TcpListener, timeout: Duration, keep_bytes: usize) -> Stream {
    let address = listener.local_addr().unwrap().to_string().try_into().unwrap();
    Stream::new(Peer::Tcp(address), timeout, keep_bytes)
}

fn frames(lines: impl IntoIterator<Item = String>) -> Frames {
    let mut frames = Frames::default();
    for line in lines {
        frames.add(|writer| {
            writer.frame(line.as_bytes());
            Ok(())
        });
    }
    frames
}

fn numbered(numbers: std::ops::Range<usize>, width: usize) -> Frames {
    frames(numbers.map(|number| format!("{number:0width$}\n")))
}

fn reader(connection: TcpStream) -> BufReader<TcpStream> {
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(connection)
}

/// Which connection it has.
fn local_port(stream: &Stream) -> Option<u16> {
    match &stream.connection {
        Some(Connection::Tcp(socket)) => Some(socket.local_addr().unwrap().port()),
        _ => None,
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Sends until all has gone, as the output's thread does; gives back how often that took more than one try.
fn send_all(stream: &mut Stream, mut left: Vec<String>) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let mut tries = 0;
    while let Err(unsent) = stream.send(&frames(left.clone())) {
        left.drain(..unsent.frames);
        tries += 1;
        assert!(Instant::now() < deadline, "{}", unsent.error);
    }
    tries
}

#[test]
fn a_peer_that_closed_after_reading_everything_gets_nothing_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = stream(&listener, PATIENCE, 1 << 20);
    stream.send(&numbered(0..2, 1)).unwrap();
    let mut first = reader(listener.accept().unwrap().0);
    assert_eq!([line(&mut first), line(&mut first)], ["0", "1"]);
    drop(first);
    wait_for(|| stream.connection.as_mut().unwrap().state() == State::Closed);
    stream.written_at = stream.written_at.and_then(|written| written.checked_sub(ROUND_TRIP));
    stream.send(&numbered(2..3, 1)).unwrap();
    assert_eq!(line(&mut reader(listener.accept().unwrap().0)), "2");
}

/// A stopping syslog-ng lost lines so: they were written when it had closed, and the reset that answers them shows in
/// no read.
#[test]
fn what_was_written_when_the_peer_had_closed_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = stream(&listener, PATIENCE, 1 << 20);
    stream.send(&numbered(0..1, 1)).unwrap();
    let mut first = reader(listener.accept().unwrap().0);
    assert_eq!(line(&mut first), "0");
    drop(first);
    wait_for(|| stream.connection.as_mut().unwrap().state() == State::Closed);
    // As if the close had come a moment after we looked.
    let late = numbered(1..2, 1);
    stream.write(late.bytes(), Instant::now() + PATIENCE).unwrap();
    stream.remember(late.bytes().to_vec());
    stream.written_at = stream.written_at.and_then(|written| written.checked_sub(ROUND_TRIP));
    stream.send(&numbered(2..3, 1)).unwrap();
    let mut next = reader(listener.accept().unwrap().0);
    assert_eq!([line(&mut next), line(&mut next), line(&mut next)], ["0", "1", "2"]);
}

/// The kernel resets a connection that is closed with something unread in it.
#[test]
fn what_a_peer_had_not_read_when_it_died_is_sent_again_unless_that_is_worse() {
    for (keep_bytes, expected) in [(1 << 20, ["0", "1", "2"]), (0, ["2", "", ""])] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = stream(&listener, PATIENCE, keep_bytes);
        stream.send(&numbered(0..1, 1)).unwrap();
        stream.send(&numbered(1..2, 1)).unwrap();
        let died = listener.accept().unwrap().0;
        died.peek(&mut [0]).unwrap();
        drop(died);
        let first = local_port(&stream);
        wait_for(|| stream.finish().is_ok() && local_port(&stream) != first);
        stream.send(&numbered(2..3, 1)).unwrap();
        let mut next = reader(listener.accept().unwrap().0);
        drop(stream);
        assert_eq!([line(&mut next), line(&mut next), line(&mut next)], expected);
    }
}

#[test]
fn a_break_is_seen_before_a_checkpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = stream(&listener, PATIENCE, 1 << 20);
    stream.send(&numbered(0..1, 1)).unwrap();
    let died = listener.accept().unwrap().0;
    died.peek(&mut [0]).unwrap();
    drop(died);
    let address = listener.local_addr().unwrap();
    drop(listener);
    wait_for(|| stream.finish().is_err());
    let listener = TcpListener::bind(address).unwrap();
    stream.finish().unwrap();
    assert_eq!(line(&mut reader(listener.accept().unwrap().0)), "0");
}

/// The half line is finished on the same connection, and no line comes twice.
#[test]
fn a_slow_peer_gets_every_line_once_over_one_connection() {
    const LINES: usize = 2_000;
    const WIDTH: usize = 10_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = stream(&listener, Duration::from_millis(50), BOTH_SOCKET_BUFFERS);
    let peer = thread::spawn(move || {
        let mut connection = listener.accept().unwrap().0;
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut all, mut some) = (Vec::new(), vec![0; 100_000]);
        while all.len() < LINES * (WIDTH + 1) {
            thread::sleep(Duration::from_millis(1));
            let length = connection.read(&mut some).unwrap();
            all.extend_from_slice(&some[..length]);
        }
        all
    });
    let lines = (0..LINES).map(|number| format!("{number:0WIDTH$}\n"));
    let tries = send_all(&mut stream, lines.clone().collect());
    wait_for(|| stream.finish().is_ok());
    assert_eq!(peer.join().unwrap(), lines.collect::<String>().into_bytes());
    assert!(tries > 0, "the peer was never slow");
}

#[test]
fn a_peer_that_does_not_read_is_an_error_within_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = stream(&listener, Duration::from_millis(100), 0);
    let unsent = stream.send(&frames([format!("{}\n", "x".repeat(3 * BOTH_SOCKET_BUFFERS))])).unwrap_err();
    assert!(unsent.error.to_string().contains("not all was taken within 100ms; see timeout"), "{unsent:?}");
    // Begun, so it is not to be given again; but nothing is safe either.
    assert_eq!(unsent.frames, 1);
    assert!(stream.finish().is_err());
}

/// A server of another kind behind the port, or one that answers: lines go on over the same connection.
#[test]
fn what_a_peer_says_is_read_and_forgotten() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = stream(&listener, PATIENCE, 1 << 20);
    stream.send(&numbered(0..1, 1)).unwrap();
    let mut peer = listener.accept().unwrap().0;
    for number in 1..5 {
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n\x00\xff garbage").unwrap();
        stream.send(&numbered(number..number + 1, 1)).unwrap();
    }
    drop(stream);
    let mut all = String::new();
    peer.read_to_string(&mut all).unwrap();
    assert_eq!(all, "0\n1\n2\n3\n4\n");
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}
