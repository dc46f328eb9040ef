//! What the system tells of changes (inotify). Where it cannot, the files are looked at from time to time.
//!
//! Folders are watched, not files: one watch tells of everything in them, also of what comes and goes.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::PathBuf,
};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use tracing::warn;

/// Bytes for changes that are read at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// What has changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Files that were written to, by name.
    pub touched: BTreeSet<PathBuf>,
    /// True when files came, went, or changed their name, or when nobody knows what has changed.
    pub listing: bool,
}

/// Watches folders.
#[derive(Debug)]
pub struct Watcher {
    notify: Option<OwnedFd>,
    folders: HashMap<i32, PathBuf>,
    watched: HashMap<PathBuf, i32>,
    /// False once a folder could not be watched.
    is_whole: bool,
}

impl Watcher {
    /// Watches nothing yet; `notify` is whether to ask the system.
    pub fn new(notify: bool) -> Self {
        let start = || {
            let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
            init(flags).inspect_err(|error| warn!(%error, "log files are not watched, but looked at")).ok()
        };
        let notify = notify.then(start).flatten();
        Self { notify, folders: HashMap::new(), watched: HashMap::new(), is_whole: true }
    }

    /// Watches these folders and no others.
    pub fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(notify) = &self.notify else { return };
        self.watched.retain(|folder, number| {
            let stays = folders.contains(folder);
            if !stays {
                self.folders.remove(number);
                let _it_is_gone_itself = remove_watch(notify, *number);
            }
            stays
        });
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        for folder in folders {
            if self.watched.contains_key(folder) {
                continue;
            }
            match add_watch(notify, folder.as_path(), flags) {
                Ok(number) => {
                    self.folders.insert(number, folder.clone());
                    self.watched.insert(folder.clone(), number);
                }
                Err(error) if self.is_whole => {
                    self.is_whole = false;
                    warn!(folder = %folder.display(), %error, "folder is not watched, but looked at; is fs.inotify.max_user_watches too low?");
                }
                Err(_) => {}
            }
        }
    }

    /// Can be read when something has changed; `None` when the system does not tell.
    pub fn descriptor(&self) -> Option<&OwnedFd> {
        self.notify.as_ref()
    }

    /// What has changed since the last call.
    pub fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        self.read(&mut changes);
        changes
    }

    fn read(&mut self, changes: &mut Changes) {
        let Some(notify) = &self.notify else { return };
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(notify, &mut buffer);
        while let Ok(event) = reader.next() {
            let flags = event.events();
            // After an overflow nobody knows; the rest is about what there is.
            changes.listing |= !flags.difference(ReadFlags::MODIFY).is_empty();
            if flags.contains(ReadFlags::IGNORED) {
                if let Some(folder) = self.folders.remove(&event.wd()) {
                    self.watched.remove(&folder);
                }
                continue;
            }
            if let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name()) {
                changes.touched.insert(folder.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn what_is_written_created_renamed_and_deleted_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = fs::canonicalize(dir.path()).unwrap();
        let (a, b) = (at.join("a"), at.join("b"));
        let mut file = fs::File::create(&a).unwrap();
        let mut watcher = Watcher::new(true);
        watcher.watch(&BTreeSet::from([at.clone()]));
        let mut expect = |path: &PathBuf, listing: bool| {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let changes = watcher.changes();
                if changes.touched.contains(path) && changes.listing == listing {
                    return;
                }
                assert!(Instant::now() < deadline, "{path:?} {listing}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        file.write_all(b"x").unwrap();
        expect(&a, false);
        fs::rename(&a, &b).unwrap();
        expect(&b, true);
        file.write_all(b"y").unwrap();
        expect(&b, false);
        fs::remove_file(&b).unwrap();
        expect(&b, true);
    }
}
