//! Tests against an nsca made here, which takes packets apart as the real one does; tests/backends has the real one.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Instant,
};

use aes::Aes256;
use cfb8::{Decryptor, cipher::KeyIvInit};
use des::TdesEde3;
use rustix::fs::{CWD, FileType, Mode};
use serde_json::json;

use super::{packet::GREETING_BYTES, *};

const PASSWORD: &str = "hunter2";
const PATIENCE: Duration = Duration::from_secs(20);

/// Every byte of a vector is another.
fn vector() -> Vec<u8> {
    (0..128).map(|byte| byte * 2 + 1).collect()
}

/// Gives what came over each connection.
fn server() -> (u16, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (kept, came) = mpsc::channel();
    thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            connection.write_all(&[vector(), vec![9, 8, 7, 6]].concat()).unwrap();
            let mut bytes = Vec::new();
            connection.read_to_end(&mut bytes).unwrap();
            kept.send(bytes).unwrap();
        }
    });
    (port, came)
}

fn output(settings: &str) -> NagiosOutput {
    NagiosOutput::new(toml::from_str(settings).unwrap()).unwrap()
}

fn item(payload: &str, service: &str) -> Item {
    let text = json!({"type": "alert", "logger": "web", "severity": 3, "payload": payload,
        "fields": {"service": service}, "timestamp": "2026-11-22T10:00:00Z", "env_version": "0.8", "metlog_pid": 7,
        "metlog_hostname": "h1"});
    metlog_core::wire::json::from_json(text.to_string().as_bytes()).unwrap().message.into()
}

fn plain(method: &str, mut bytes: Vec<u8>, packet_bytes: usize) -> Vec<u8> {
    let mut key = [0_u8; 32];
    key[..PASSWORD.len()].copy_from_slice(PASSWORD.as_bytes());
    let vector = vector();
    match method {
        "none" => {}
        "xor" => {
            for packet in bytes.chunks_mut(packet_bytes) {
                for (place, byte) in packet.iter_mut().enumerate() {
                    *byte ^= vector[place % vector.len()] ^ PASSWORD.as_bytes()[place % PASSWORD.len()];
                }
            }
        }
        "3des" => {
            Decryptor::<TdesEde3>::new_from_slices(&key[..24], &vector[..8]).unwrap().decrypt(&mut bytes);
        }
        _ => Decryptor::<Aes256>::new_from_slices(&key, &vector[..16]).unwrap().decrypt(&mut bytes),
    }
    bytes
}

#[test]
fn every_method_and_size_is_read_back_packet_after_packet() {
    for method in ["none", "xor", "3des", "aes"] {
        for packet_bytes in [720, 4304] {
            let (port, came) = server();
            let mut output = output(&format!(
                "address = '127.0.0.1:{port}'\nencryption = '{method}'\npassword = '{PASSWORD}'\npacket_bytes = {packet_bytes}"
            ));
            let items = [item("OK:one", "a"), item("nothing", "b"), item("CRITICAL:two", "c")];
            let dead = output.deliver(&items).unwrap().dead;
            assert_eq!(dead.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1]);

            // A small packet has a connection for itself.
            let connections = if packet_bytes == 720 { 2 } else { 1 };
            let came = (0..connections).map(|_| came.recv_timeout(PATIENCE).unwrap());
            let mut bytes: Vec<u8> = came.flat_map(|bytes| plain(method, bytes, packet_bytes)).collect();
            assert_eq!(bytes.len(), 2 * packet_bytes, "{method}");
            for (packet, (code, service, text)) in
                bytes.chunks_mut(packet_bytes).zip([(0, "a", "one"), (2, "c", "two")])
            {
                let sum: [u8; 4] = packet[4..8].try_into().unwrap();
                packet[4..8].fill(0);
                assert_eq!(crc32fast::hash(packet).to_be_bytes(), sum, "{method}");
                assert_eq!((&packet[8..12], packet[13]), (&[9, 8, 7, 6][..], code), "{method}");
                assert!(
                    packet[78..].starts_with(service.as_bytes())
                        && packet[206..].starts_with(text.as_bytes())
                );
            }
        }
    }
}

#[test]
fn a_server_that_is_down_silent_or_hangs_up_loses_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (a, b, c) = (port(&silent), port(&hanging), port(&deaf));
    thread::spawn(move || hanging.incoming().for_each(drop));
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut connection in deaf.incoming().map_while(Result::ok) {
            connection.write_all(&[0; GREETING_BYTES]).unwrap();
            kept.push(connection);
        }
    });
    for (port, said) in
        [(a, "it did not greet"), (b, "it hung up before its greeting"), (c, "it did not close")]
    {
        let mut output = output(&format!("address = '127.0.0.1:{port}'\ntimeout = '300ms'"));
        let halted = output.deliver(&[item("OK:x", "a")]).unwrap_err();
        let error = halted.error.to_string();
        assert!(error.contains(said) || (port == b && error.contains("reset")), "{error}");
        assert_eq!(halted.settled, 0);
        assert_eq!(output.probe().is_ok(), port == c);
    }
    drop(silent);
    let error = output(&format!("address = '127.0.0.1:{a}'")).probe().unwrap_err().to_string();
    assert!(error.contains("refused") && error.contains(&a.to_string()), "{error}");
}

#[test]
fn results_go_into_a_command_file_that_somebody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nagios.cmd");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut output = output(&format!("command_file = '{}'", path.display()));
    let halted = output.deliver(&[item("what", "a"), item("OK:one", "b")]).unwrap_err();
    assert_eq!((halted.settled, halted.dead.len()), (1, 1), "{}", halted.error);
    assert!(output.probe().unwrap_err().to_string().contains("nobody reads the pipe"));

    let place = path.clone();
    let reader = thread::spawn(move || std::fs::read_to_string(place).unwrap());
    let end = Instant::now() + PATIENCE;
    while output.deliver(&[item("OK:one", "b"), item("UNKNOWN:two", "c")]).is_err() {
        assert!(Instant::now() < end, "nobody ever reads the pipe");
        thread::yield_now();
    }
    drop(output);
    let lines = reader.join().unwrap();
    let expected = "[1795341600] PROCESS_SERVICE_CHECK_RESULT;h1;b;0;one\n\
                    [1795341600] PROCESS_SERVICE_CHECK_RESULT;h1;c;3;two\n";
    assert_eq!(lines, expected);
}

#[test]
fn settings_that_cannot_work_are_named() {
    for (settings, said) in [
        ("", "address: expected either address"),
        ("address = 'h:1'\ncommand_file = '/x'", "address: expected either address"),
        ("address = 'h:1'\nencryption = 'aes'", "password: is missing"),
        ("address = 'h:1'\npassword = 'a'\npassword_file = '/x'", "are both given"),
        ("address = 'h:1'\nhost = '%Hostname'", "host: "),
    ] {
        let error = NagiosOutput::new(toml::from_str(settings).unwrap()).unwrap_err().to_string();
        assert!(error.contains(said), "{settings}: {error}");
    }
    let error =
        toml::from_str::<NagiosConfig>("address = 'h:1'\npacket_bytes = 721").unwrap_err().to_string();
    assert!(error.contains("expected 4304, or 720"), "{error}");
    let shown = format!("{:?}", output(&format!("address = 'h:1'\npassword = '{PASSWORD}'")));
    assert!(!shown.contains(PASSWORD), "{shown}");
}
