//! `check`: what is wrong beside the file itself, on the host that the daemon is to run on. Nothing is changed there, and no
//! socket is taken from a daemon that runs.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixDatagram, UnixStream},
    },
    path::Path,
    process::ExitCode,
};

use bytesize::ByteSize;
use rustix::fs::{Access, access, statvfs};
use serde::Serialize;

use super::{complain, say};
use crate::{
    admin::{self, StatsPage},
    config::{EXIT_CONFIG, SpoolConfig},
};

/// What `check` has found out, a line each.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// With these it would not start, or would not do what the configuration says.
    pub errors: Vec<String>,
    /// These are perhaps not what was meant.
    pub warnings: Vec<String>,
    /// What is delivered to and cannot be reached now.
    pub unreached: Vec<String>,
    /// What is as it should be.
    pub found: Vec<String>,
}

impl Findings {
    pub(super) fn tell(&self, json: bool) {
        if json {
            say(&serde_json::to_string(self).unwrap_or_default());
            return;
        }
        self.errors.iter().chain(&self.unreached).for_each(|line| complain(line));
        self.warnings.iter().for_each(|line| complain(&format!("warning: {line}")));
        if self.errors.is_empty() {
            say("configuration is good");
        }
        for line in &self.found {
            say(line);
        }
    }

    /// 78 when something is wrong, 1 when something cannot be reached now.
    pub(super) fn exit_code(&self) -> ExitCode {
        match (self.errors.is_empty(), self.unreached.is_empty()) {
            (true, true) => ExitCode::SUCCESS,
            (true, false) => ExitCode::FAILURE,
            (false, _) => ExitCode::from(EXIT_CONFIG),
        }
    }
}

/// What back ends have answered.
pub(super) fn sort(probed: Vec<Result<String, String>>, findings: &mut Findings) {
    for answer in probed {
        match answer {
            Ok(found) => findings.found.push(found),
            Err(wrong) => findings.unreached.push(wrong),
        }
    }
}

/// What a daemon uses of its host.
#[derive(Debug)]
pub struct Places<'a> {
    /// Where its data lies.
    pub data_dir: &'a Path,
    /// How much of it there may be.
    pub spool: &'a SpoolConfig,
    /// Where it listens: a setting, and an address as [`crate::sockets`] writes it.
    pub listens: Vec<(String, String)>,
}

/// Looks at all places.
pub(super) fn places(places: &Places<'_>) -> Findings {
    let mut findings = Findings::default();
    data_dir(places, &mut findings);
    let held = held(places.data_dir);
    for (setting, address) in &places.listens {
        if held.contains(address) {
            findings.found.push(format!("{setting}: {address} is held by this daemon, which runs"));
        } else if let Err(error) = can_listen(address) {
            findings.errors.push(format!("{setting}: cannot listen on {address}: {}", hint(&error)));
        }
    }
    findings
}

/// Where the daemon that lives in the folder listens, if one runs.
fn held(data_dir: &Path) -> Vec<String> {
    let Ok(live) = admin::ask::<StatsPage>(data_dir, "/stats") else { return Vec::new() };
    let pages = admin::address(data_dir).map(|address| format!("tcp://{address}"));
    live.held.into_iter().chain(pages).collect()
}

/// Whether its folder can be written, and has room for what the spool may hold.
fn data_dir(places: &Places<'_>, findings: &mut Findings) {
    let dir = places.data_dir;
    // What is not there yet is made, where that is allowed.
    let Some(there) = dir.ancestors().find(|path| path.exists()) else { return };
    if !there.is_dir() {
        findings.errors.push(format!("data_dir {}: {} is no folder", dir.display(), there.display()));
        return;
    }
    if let Err(error) = access(there, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        let error = io::Error::from(error);
        findings.errors.push(format!(
            "data_dir {}: {} cannot be written: {error}",
            dir.display(),
            there.display()
        ));
    }
    let Ok(disk) = statvfs(there) else { return };
    let free = ByteSize::b(disk.f_bavail.saturating_mul(disk.f_frsize));
    let (segment, most) = (places.spool.segment_bytes, places.spool.max_bytes);
    let held = fs::read_dir(dir.join("spool")).into_iter().flatten().flatten();
    let held: u64 = held.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    if free < segment {
        findings
            .errors
            .push(format!("data_dir {}: {free} are free, spool.segment_bytes is {segment}", dir.display()));
    } else if free.as_u64().saturating_add(held) < most.as_u64() {
        findings.warnings.push(format!(
            "data_dir {}: {free} are free, spool.max_bytes is {most}: the disk is full before the spool is",
            dir.display()
        ));
    }
}

/// Listens for a moment, unless that would disturb somebody.
fn can_listen(address: &str) -> io::Result<()> {
    if let Some(address) = address.strip_prefix("udp://") {
        return UdpSocket::bind(parse(address)?).map(drop);
    }
    if let Some(address) = address.strip_prefix("tcp://") {
        return TcpListener::bind(parse(address)?).map(drop);
    }
    let path = address.strip_prefix("ipc://").or_else(|| address.strip_prefix("unix://"));
    path.map_or(Ok(()), |path| can_make(Path::new(path), address.starts_with("ipc://")))
}

/// `*` is ZeroMQ's word for any port.
fn parse(address: &str) -> io::Result<SocketAddr> {
    let address = address.strip_suffix(":*").map_or_else(|| address.to_owned(), |host| format!("{host}:0"));
    address.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "it is no address"))
}

/// Whether a socket can be made at a path. ZeroMQ makes the folder too.
fn can_make(path: &Path, makes_folder: bool) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        let datagrams = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
        let refused = |asked: io::Result<()>| {
            asked.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        if !refused(datagrams) && !refused(UnixStream::connect(path).map(drop)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
    } else if path.exists() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let there = if makes_folder { folder.ancestors().find(|path| path.exists()) } else { Some(folder) };
    let there = there.unwrap_or(folder);
    access(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| io::Error::other(format!("{}: {}", there.display(), io::Error::from(error))))
}

/// The error and the way out.
fn hint(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ", by something that is not this daemon; end it or take another address",
        io::ErrorKind::AddrNotAvailable => ": it is no address of this host",
        io::ErrorKind::PermissionDenied => ": ports below 1024 are for root, or with CAP_NET_BIND_SERVICE",
        _ => "",
    };
    format!("{error}{hint}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn look(data_dir: &Path, max_bytes: ByteSize, listens: &[String]) -> Findings {
        let spool = SpoolConfig { max_bytes, ..SpoolConfig::default() };
        let listens = listens.iter().map(|address| ("here".to_owned(), address.clone())).collect();
        places(&Places { data_dir, spool: &spool, listens })
    }

    #[test]
    fn a_free_place_is_good_and_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().display();
        let free = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*"].map(str::to_owned);
        let paths = [format!("unix://{at}/a.sock"), format!("ipc://{at}/new/b.sock")];
        let listens: Vec<_> = free.into_iter().chain(paths).collect();
        let findings = look(&home.path().join("data"), ByteSize::b(1), &listens);
        assert_eq!((findings.errors, findings.warnings), (Vec::<String>::new(), Vec::new()));
        assert_eq!(home.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_is_taken_or_cannot_be_had_is_named_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let socket: PathBuf = home.path().join("live.sock");
        let live = UnixDatagram::bind(&socket).unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        for (address, said) in [
            (format!("udp://{}", udp.local_addr().unwrap()), "something that is not this daemon"),
            (format!("tcp://{}", tcp.local_addr().unwrap()), "something that is not this daemon"),
            ("udp://192.0.2.1:8125".to_owned(), "it is no address of this host"),
            (format!("unix://{}", socket.display()), "something that is not this daemon"),
            (format!("ipc://{}", file.display()), "no socket is there"),
            (format!("unix://{}/none/a.sock", home.path().display()), "No such file"),
        ] {
            let errors = look(home.path(), ByteSize::b(1), std::slice::from_ref(&address)).errors;
            assert_eq!(errors.len(), 1, "{address}: {errors:?}");
            assert!(errors[0].starts_with(&format!("here: cannot listen on {address}: ")), "{errors:?}");
            assert!(errors[0].contains(said), "{errors:?}");
        }
        // One that nobody listens on any more is left over.
        drop(live);
        let errors = look(home.path(), ByteSize::b(1), &[format!("unix://{}", socket.display())]).errors;
        assert_eq!(errors, Vec::<String>::new());
    }

    #[test]
    fn a_folder_that_cannot_be_had_and_a_disk_that_is_too_small_are_told() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let errors = look(&file.join("data"), ByteSize::b(1), &[]).errors;
        assert!(errors.len() == 1 && errors[0].ends_with("file is no folder"), "{errors:?}");
        let warnings = look(home.path(), ByteSize::eib(8), &[]).warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("spool.max_bytes is 8.0 EiB"), "{warnings:?}");
    }
}
