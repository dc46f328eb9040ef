//! Encrypted links: who is let in, who is not and is told why, and keys that change while everything runs.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs, net::TcpListener, path::PathBuf};

use metlog_core::Options;
use metlog_tests::{Daemon, Setup, System, reload, wait_until};

/// A sidecar and a grater whose link is to be encrypted.
struct Encrypted {
    system: System,
    /// Of the grater, in the order of its endpoints.
    ports: [u16; 2],
    servers: [String; 2],
    client: String,
}

impl Encrypted {
    /// Keys for both; the grater listens at two ports, with a key for each, and lets nobody in.
    fn start() -> Self {
        let mut system = System::start(Setup::default());
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let servers = ["old", "new"].map(|name| keygen(&system.grater, &system.home().join(name)));
        let client = keygen(&system.sidecar, &system.home().join("client"));
        let home = system.home().display().to_string();
        fs::write(system.home().join("allowed"), "# nobody yet\n").unwrap();
        edit(&system.grater, "[input.link]\n", |_| {
            format!(
                "[input.link]\nendpoints = [\"ipc://{home}/grater.sock\", \"tcp://127.0.0.1:{}\", \"tcp://127.0.0.1:{}\"]\n\
                 [input.link.curve]\nkey_files = [\"{home}/old\", \"{home}/new\"]\nallowed_clients = \"{home}/allowed\"\n",
                ports[0], ports[1]
            )
        });
        system.grater.kill();
        system.grater.restart();
        Self { system, ports, servers, client }
    }

    fn allowed(&self) -> PathBuf {
        self.system.home().join("allowed")
    }

    /// Starts the sidecar anew with these keys of the receivers, one for each endpoint.
    fn forward(&mut self, keys: &[&str]) {
        let home = self.system.home().display().to_string();
        let curve = format!("[forward.curve]\nkey_file = \"{home}/client\"\nserver_keys = {keys:?}\n");
        self.forward_with(if keys.is_empty() { "" } else { &curve });
    }

    fn forward_with(&mut self, curve: &str) {
        let endpoints = self.ports.map(|port| format!("tcp://127.0.0.1:{port}"));
        edit(&self.system.sidecar, "[forward]\n", |_| {
            format!("[forward]\nendpoints = {endpoints:?}\n{curve}")
        });
        self.system.sidecar.kill();
        self.system.sidecar.restart();
    }

    fn send(&self, kind: &str) {
        let client = self.system.client("app");
        client.metlog(kind, Options::default());
        assert!(client.flush(metlog_tests::PATIENCE));
    }

    fn arrives(&self, kind: &str) {
        wait_until(kind, || self.system.delivered_of(kind).len() == 1);
    }

    fn refusals(&self, key: &str, kind: &str) -> u64 {
        self.system.grater.counter(&format!("metlog_curve_refusals_total{{kind=\"{kind}\",key=\"{key}\"}}"))
    }
}

/// Makes a key pair; gives back the public key.
fn keygen(daemon: &Daemon, path: &std::path::Path) -> String {
    // No configuration is asked for.
    let mut command = std::process::Command::new(daemon.command("keygen").get_program());
    let made = command.arg("keygen").arg("--out").arg(path).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Puts something else in the place of a section, which is the last of its file.
fn edit(daemon: &Daemon, section: &str, other: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(daemon.config_path()).unwrap();
    let (before, after) = text.split_once(section).unwrap();
    fs::write(daemon.config_path(), format!("{before}{}", other(after))).unwrap();
}

#[test]
fn a_key_that_is_not_on_the_list_is_refused_and_counted_until_it_is() {
    let mut pair = Encrypted::start();
    let [old, new] = pair.servers.clone();
    pair.forward(&[&old, &new]);
    pair.send("early");
    wait_until("a refusal", || pair.refusals(&pair.client, "key") > 0);
    let said = format!("client key {} of 127.0.0.1 is not in allowed_clients", pair.client);
    assert!(pair.system.grater.log().contains(&said), "{}", pair.system.grater.log());
    let advice = format!("{} has to be in the allowed_clients", pair.client);
    wait_until("the sidecar to say why", || pair.system.sidecar.log().contains(&advice));
    assert!(pair.system.delivered_of("early").is_empty());

    // The list is read again by itself.
    fs::write(pair.allowed(), format!("{} web1\n", pair.client)).unwrap();
    pair.arrives("early");
    wait_until("the name of the client", || pair.system.grater.log().contains("client=\"web1\""));

    // A reload keeps the socket, its keys and its list.
    reload(&pair.system.grater);
    pair.send("after the reload");
    pair.arrives("after the reload");
}

#[test]
fn a_peer_in_the_clear_is_refused_and_told_what_is_wanted() {
    let mut pair = Encrypted::start();
    fs::write(pair.allowed(), format!("{}\n", pair.client)).unwrap();
    pair.forward(&[]);
    pair.send("clear");
    wait_until("a refusal", || pair.refusals("", "handshake") > 0);
    wait_until("the sidecar to say why", || {
        pair.system.sidecar.log().contains("it wants CURVE, see forward.curve")
    });
    assert!(pair.system.delivered_of("clear").is_empty());
    let [old, _] = pair.servers.clone();
    pair.forward(&[&old]);
    pair.arrives("clear");
}

#[test]
fn senders_move_to_a_new_key_at_the_second_port_one_by_one() {
    let mut pair = Encrypted::start();
    fs::write(pair.allowed(), format!("{}\n", pair.client)).unwrap();
    let [old, new] = pair.servers.clone();
    // The key of the first port is not known any more: the second endpoint is tried.
    pair.forward(&[&new, &new]);
    pair.send("moved");
    pair.arrives("moved");
    assert!(!pair.system.sidecar.log().contains(&old));
}

#[test]
fn an_address_that_others_reach_needs_curve_at_both_ends() {
    let system = System::start(Setup::default());
    for (daemon, section, endpoints, said) in [
        (
            &system.grater,
            "[input.link]\n",
            "tcp://0.0.0.0:5568",
            "others need CURVE, as input.link.curve gives it",
        ),
        (
            &system.sidecar,
            "[forward]\n",
            "tcp://grater.example:5568",
            "leaves this host, for which it needs CURVE",
        ),
    ] {
        edit(daemon, section, |_| format!("{section}endpoints = [\"{endpoints}\"]\n"));
        let checked = daemon.command("check").arg("--offline").output().unwrap();
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.code() == Some(78) && told.contains(said), "{told}");
    }
}
