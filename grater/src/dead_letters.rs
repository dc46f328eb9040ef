//! What a back end refused for good: one file of JSON lines for each output, with the reason, bounded.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use metlog_core::{Message, Timestamp};
use serde::Serialize;

/// Dead letters of one output take at most so much disk; what comes after is dropped and counted.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The dead letters of one output.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
}

/// One line.
#[derive(Serialize)]
struct Letter<'a> {
    time: String,
    reason: &'a str,
    message: &'a Message,
}

impl DeadLetters {
    /// The dead letters of `output`, under the daemon's data folder. The file is made with the first letter.
    #[must_use]
    pub fn new(data_dir: &Path, output: &str) -> Self {
        Self { path: data_dir.join("dead").join(format!("{output}.jsonl")) }
    }

    /// Keeps the letters of one delivery; false when there is no room for them.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn keep(&self, letters: &[(&Message, &str)]) -> io::Result<bool> {
        let Some(folder) = self.path.parent().filter(|_| !letters.is_empty()) else { return Ok(true) };
        fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let mut lines = Vec::new();
        for (message, reason) in letters {
            let letter = Letter { time: Timestamp::now().to_string(), reason, message };
            serde_json::to_writer(&mut lines, &letter)?;
            lines.push(b'\n');
        }
        if file.metadata()?.len() + u64::try_from(lines.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Ok(false);
        }
        file.write_all(&lines)?;
        file.sync_data().map(|()| true)
    }
}
