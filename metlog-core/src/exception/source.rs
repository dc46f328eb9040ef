//! Source lines around a place, read from the files of this host when they are there.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Frame;

/// Lines before and after, as the original had them.
const CONTEXT_LINES: usize = 5;

/// A larger file is generated; reading it would not help a reader.
const MAX_SOURCE_BYTES: u64 = 1024 * 1024;

/// Files kept; events come in bursts about the same few.
const MAX_FILES: usize = 32;

/// How long a file is taken to be as it was read.
const FRESH: Duration = Duration::from_secs(10);

/// Files read lately. Not shared: each thread that resolves events has its own.
#[derive(Debug, Default)]
pub struct SourceCache(HashMap<String, Entry>);

/// A file's text at a time; no text when it cannot be read.
#[derive(Debug)]
struct Entry {
    at: Instant,
    text: Option<Arc<str>>,
}

impl SourceCache {
    /// Adds the source lines to a frame that has none, when its file is readable.
    pub fn fill(&mut self, frame: &mut Frame) {
        let place =
            frame.line.and_then(|line| usize::try_from(line).ok()).and_then(|line| line.checked_sub(1));
        let (None, Some(index)) = (&frame.context_line, place) else { return };
        let Some(text) = self.text(&frame.file) else { return };
        let first = index.saturating_sub(CONTEXT_LINES);
        let mut lines = text.lines().skip(first).map(ToOwned::to_owned);
        frame.pre_context = lines.by_ref().take(index - first).collect();
        frame.context_line = lines.next();
        frame.post_context = lines.take(CONTEXT_LINES).collect();
    }

    fn text(&mut self, path: &str) -> Option<Arc<str>> {
        let now = Instant::now();
        if let Some(read) = self.0.get(path).filter(|read| now.duration_since(read.at) < FRESH) {
            return read.text.clone();
        }
        if self.0.len() >= MAX_FILES {
            self.0.clear();
        }
        let text = read(Path::new(path));
        self.0.insert(path.to_owned(), Entry { at: now, text: text.clone() });
        text
    }
}

fn read(path: &Path) -> Option<Arc<str>> {
    // Looked at before it is opened: opening a named pipe waits.
    let known = fs::metadata(path).ok().filter(|found| found.is_file() && found.len() <= MAX_SOURCE_BYTES)?;
    let mut bytes = Vec::with_capacity(usize::try_from(known.len()).ok()?);
    File::open(path).ok()?.take(MAX_SOURCE_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(file: &Path, line: Option<u32>) -> Frame {
        Frame { file: file.display().to_string(), line, ..Frame::default() }
    }

    #[test]
    fn lines_around_the_place_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rs");
        let text: String = (1..=9).map(|line| format!("line {line}\n")).collect();
        fs::write(&path, text).unwrap();
        // line, lines before, lines after; line 10 does not exist.
        let cases = [(Some(1), 0, 5), (Some(7), 5, 2), (Some(9), 5, 0)];
        let mut cache = SourceCache::default();
        for (line, before, after) in cases {
            let mut filled = frame(&path, line);
            cache.fill(&mut filled);
            assert_eq!(filled.context_line, line.map(|line| format!("line {line}")));
            assert_eq!((filled.pre_context.len(), filled.post_context.len()), (before, after), "{line:?}");
        }
        for line in [None, Some(0), Some(10), Some(u32::MAX)] {
            let mut filled = frame(&path, line);
            cache.fill(&mut filled);
            assert_eq!(filled.context_line, None, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_readable_file_of_modest_size_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(MAX_SOURCE_BYTES + 1).unwrap();
        let mut cache = SourceCache::default();
        for path in [large.as_path(), folder.path(), Path::new("/dev/zero"), Path::new("/no/such/file")] {
            let mut filled = frame(path, Some(1));
            cache.fill(&mut filled);
            assert_eq!(filled, frame(path, Some(1)));
        }
    }

    #[test]
    fn given_lines_stay_and_files_are_bounded() {
        let mut cache = SourceCache::default();
        let mut given = Frame { context_line: Some("x".to_owned()), ..frame(Path::new(file!()), Some(1)) };
        cache.fill(&mut given);
        assert_eq!(given.context_line.as_deref(), Some("x"));
        for number in 0..3 * MAX_FILES {
            cache.fill(&mut frame(Path::new(&format!("/no/{number}")), Some(1)));
        }
        assert!(cache.0.len() <= MAX_FILES);
    }
}
