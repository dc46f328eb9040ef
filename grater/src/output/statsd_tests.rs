//! The lines of statsd, and where they go.

use std::{io::Read, net::TcpListener, net::UdpSocket};

use metlog_core::wire::json::from_json;

use super::*;

fn item(kind: &str, payload: &str, fields: &str) -> Item {
    let text = format!(r#"{{"type":"{kind}","logger":"app","payload":{payload},"fields":{{{fields}}}}}"#);
    Item::from(from_json(text.as_bytes()).unwrap().message)
}

fn line(item: &Item, namespace: Namespace) -> Result<String, String> {
    let mut line = String::from("left over");
    write_line(&item.message, namespace, &mut line).map(|()| line)
}

fn config(address: std::net::SocketAddr, more: &str) -> StatsdConfig {
    toml::from_str(&format!("address = '{address}'\n{more}")).unwrap()
}

#[test]
fn messages_become_lines() {
    for (kind, payload, fields, expected) in [
        ("counter", r#""1""#, r#""name":"hits","rate":1.0"#, "app.hits:1|c\n"),
        ("counter", r#""2.5""#, r#""name":"a::b:c|d@e","rate":0.1"#, "app.a.b_c_d_e:2.5|c|@0.1\n"),
        ("timer", r#""35""#, r#""name":"t","rate":0.5,"logger":"ns""#, "ns.t:35|ms|@0.5\n"),
        ("timer", "1e20", r#""name":"t""#, "app.t:100000000000000000000|ms\n"),
        ("gauge", "7", r#""name":"g","rate":0.5"#, "app.g:7|g\n"),
        ("gauge", "-7", r#""name":"g""#, "app.g:0|g\napp.g:-7|g\n"),
        ("set", r#""ada""#, r#""name":"users""#, "app.users:ada|s\n"),
        ("set", r#""a:1|c\nb""#, r#""name":"users""#, "app.users:a_1_c_b|s\n"),
        ("counter", "1", r#""name":"x:1|c\ny","rate":1"#, "app.x_1_c_y:1|c\n"),
    ] {
        let made = line(&item(kind, payload, fields), Namespace::Envelope);
        assert_eq!(made.as_deref(), Ok(expected), "{kind} {payload} {fields}");
    }
}

#[test]
fn what_has_no_line_says_why() {
    for (kind, payload, fields, reason) in [
        ("oldstyle", "1", r#""name":"x""#, "type is \"oldstyle\", statsd takes"),
        ("counter", "1", "", "fields.name is missing or empty"),
        ("counter", r#""x""#, r#""name":"x""#, "payload is \"x\", expected a finite number"),
        ("counter", r#""inf""#, r#""name":"x""#, "payload is \"inf\", expected a finite number"),
        ("timer", "1", r#""name":"x","rate":0"#, "fields.rate is \"0\", expected more than 0"),
        ("timer", "1", r#""name":"x","rate":"b""#, "fields.rate is \"b\", expected more than 0"),
        ("set", "{}", r#""name":"x""#, "payload is neither text nor number"),
    ] {
        let error = line(&item(kind, payload, fields), Namespace::Envelope).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn the_namespace_stands_before_the_name() {
    let (own, none) =
        (item("counter", "1", r#""name":"n","logger":"own""#), item("counter", "1", r#""name":"n""#));
    for (namespace, with_own, without) in [
        (Namespace::None, "n:1|c\n", "n:1|c\n"),
        (Namespace::Fields, "own.n:1|c\n", "n:1|c\n"),
        (Namespace::Envelope, "own.n:1|c\n", "app.n:1|c\n"),
    ] {
        assert_eq!(
            (line(&own, namespace).unwrap().as_str(), line(&none, namespace).unwrap().as_str()),
            (with_own, without)
        );
    }
}

#[test]
fn packets_hold_as_many_lines_as_fit_and_a_line_too_long_is_dead() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut output =
        StatsdOutput::new(config(socket.local_addr().unwrap(), "max_packet_bytes = 20\nnamespace = 'none'"));
    let long = "x".repeat(30);
    let items = [
        r#""name":"a""#.to_owned(),
        format!(r#""name":"{long}""#),
        r#""name":"b""#.to_owned(),
        r#""name":"cc""#.to_owned(),
        r#""name":"d""#.to_owned(),
    ]
    .map(|fields| item("counter", "1", &fields));
    let dead = output.deliver(&items).unwrap().dead;
    assert_eq!(dead, [(1, "line has 35 bytes, expected at most 20: see max_packet_bytes".to_owned())]);
    let mut packet = [0; 100];
    let mut receive = || {
        let length = socket.recv(&mut packet).unwrap();
        String::from_utf8(packet[..length].to_vec()).unwrap()
    };
    assert_eq!([receive(), receive()], ["a:1|c\nb:1|c\ncc:1|c\n", "d:1|c\n"]);
}

#[test]
fn tcp_takes_lines_of_any_length_up_to_the_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut output = StatsdOutput::new(config(listener.local_addr().unwrap(), "protocol = 'tcp'"));
    output.deliver(&[item("counter", "1", r#""name":"a""#), item("timer", "2", r#""name":"b""#)]).unwrap();
    output.checkpoint().unwrap();
    drop(output);
    let mut all = String::new();
    listener.accept().unwrap().0.read_to_string(&mut all).unwrap();
    assert_eq!(all, "app.a:1|c\napp.b:2|ms\n");
}
