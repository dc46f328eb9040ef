//! Reaches the back ends of all outputs at once, for `metlog-grater check`.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::config::OutputConfig;

/// Longer than any output's own timeouts by default: what has not answered then hangs, in a name lookup for example.
const PATIENCE: Duration = Duration::from_secs(20);

/// What each output found, or what is wrong with it, in their order.
pub(crate) fn outputs(outputs: &[OutputConfig]) -> Vec<Result<String, String>> {
    within(PATIENCE, outputs, |output| match output.kind.build().and_then(|built| built.probe()) {
        Ok(found) => Ok(format!("output {:?}: {found}", output.name)),
        Err(error) => Err(format!("output {:?}: {error}", output.name)),
    })
}

/// A thread for each, none of which is waited for longer than `patience`: those that hang end with the process.
fn within(
    patience: Duration,
    outputs: &[OutputConfig],
    probe: fn(&OutputConfig) -> Result<String, String>,
) -> Vec<Result<String, String>> {
    let deadline = Instant::now() + patience;
    let asked = outputs.iter().map(|output| {
        let (sender, answer) = mpsc::channel();
        let owned = output.clone();
        let spawned = thread::Builder::new().name(format!("probe-{}", output.name)).spawn(move || {
            // Nobody listens any more when it comes too late.
            let _too_late = sender.send(probe(&owned));
        });
        (output, spawned, answer)
    });
    let asked: Vec<_> = asked.collect();
    let answers = asked.into_iter().map(|(output, spawned, answer)| match spawned {
        Err(error) => Err(format!("output {:?}: cannot start a thread: {error}", output.name)),
        Ok(_) => answer
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .unwrap_or_else(|_| Err(format!("output {:?}: no answer within {patience:?}", output.name))),
    });
    answers.collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn output(text: &str) -> OutputConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_output_is_reached_and_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let (up, down) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (up_at, down_at) = (up.local_addr().unwrap(), down.local_addr().unwrap());
        drop(down);
        let file = directory.path().join("new/messages.jsonl");
        let file = file.display();
        let found = outputs(&[
            output(&format!("name = 'a'\ntype = 'file'\npath = '{file}'")),
            output(&format!("name = 'b'\ntype = 'carbon'\naddress = '{up_at}'")),
            output(&format!("name = 'c'\ntype = 'carbon'\naddress = '{down_at}'")),
        ]);
        let [Ok(a), Ok(b), Err(c)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(a, &format!("output \"a\": {file} can be created"));
        assert_eq!(b, &format!("output \"b\": {up_at} takes connections"));
        assert!(c.starts_with(&format!("output \"c\": cannot connect to {down_at}: ")), "{c}");
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn one_that_hangs_does_not_hold_up_the_others() {
        let hang = |output: &OutputConfig| {
            if output.name == "hangs" {
                thread::park();
            }
            Ok(output.name.clone())
        };
        let both =
            ["hangs", "answers"].map(|name| output(&format!("name = '{name}'\ntype = 'file'\npath = '/x'")));
        let found = within(Duration::from_millis(100), &both, hang);
        let expected = [Err("output \"hangs\": no answer within 100ms".to_owned()), Ok("answers".to_owned())];
        assert_eq!(found, expected);
    }
}
