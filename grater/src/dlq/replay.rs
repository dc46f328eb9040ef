//! `dlq replay`: marks letters, and waits for what their output makes of them.

use std::{
    collections::HashSet,
    io::Write,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use clap::Args;
use metlog_pipeline::{admin, tools::Failed};

use super::{Choice, Desk, failed, read};
use crate::dead_letters::{Change, DeadLetters};

/// How often the letters are looked at while the output is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// Which letters to send again, and how long to wait.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Which letters.
    #[command(flatten)]
    pub choice: Choice,
    /// How long the outcome is waited for, such as 30s or 5m.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

/// What has become of the letters of one output.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Fate {
    sent: usize,
    refused: usize,
    waiting: usize,
}

impl Desk {
    pub(super) fn replay(&self, args: &ReplayArgs, out: &mut dyn Write) -> Result<bool, Failed> {
        let mut marked = Vec::new();
        for (output, letters) in self.outputs(args.choice.output.as_deref())? {
            let keys = mark(&letters, &args.choice).map_err(|error| failed(&output, &error))?;
            if keys.is_empty() {
                continue;
            }
            if !self.config.output_names().contains(&output) {
                return Err(Failed::because(format!(
                    "no output {output:?} is configured to send its letters again"
                )));
            }
            letters.ask_for_replay().map_err(|error| failed(&output, &error))?;
            marked.push((output, letters, keys));
        }
        if UnixStream::connect(admin::socket_path(&self.config.data_dir)).is_err() {
            for (output, _, keys) in &marked {
                writeln!(out, "{output}: {} letters are sent when the grater starts", keys.len())?;
            }
            return Ok(true);
        }
        let deadline = Instant::now() + args.timeout;
        let mut all_sent = true;
        for (output, letters, keys) in &marked {
            let Fate { sent, refused, waiting } = wait(letters, keys, deadline)?;
            writeln!(out, "{output}: {sent} letters sent, {refused} refused again, {waiting} still waiting")?;
            all_sent &= refused + waiting == 0;
        }
        if marked.is_empty() {
            writeln!(out, "no letters to send again")?;
        }
        Ok(all_sent)
    }
}

/// Marks the chosen letters; gives back their keys.
fn mark(letters: &DeadLetters, choice: &Choice) -> std::io::Result<HashSet<String>> {
    let mut keys = HashSet::new();
    letters.rewrite(|mut letter| {
        if !choice.takes(&letter) {
            return Change::Stay(letter);
        }
        letter.replay = true;
        keys.insert(letter.key());
        Change::Become(letter)
    })?;
    Ok(keys)
}

/// Waits until no letter is marked any more.
fn wait(letters: &DeadLetters, keys: &HashSet<String>, deadline: Instant) -> Result<Fate, Failed> {
    loop {
        let mut fate = Fate::default();
        for letter in read(letters)?.letters.iter().filter(|letter| keys.contains(&letter.key())) {
            if letter.replay { fate.waiting += 1 } else { fate.refused += 1 }
        }
        fate.sent = keys.len() - fate.refused - fate.waiting;
        if fate.waiting == 0 || Instant::now() >= deadline {
            return Ok(fate);
        }
        std::thread::sleep(LOOK);
    }
}
