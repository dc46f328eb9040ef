//! The word `test`: runs the tests that stand in the configuration, or shows what the lines of a file become.

use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use metlog_core::{Timestamp, process, wire::json::to_json};
use serde::Deserialize;

use super::{Formatter, FormatterConfig, Labels, Origin};
use crate::{
    config::Config,
    input::files::{
        config::Compiled,
        entry,
        lines::{Charset, Found, Splitter},
        multiline::{MultilineConfig, Preset},
        source::{Encoding, Source},
    },
};

/// Shown below the help of `test`.
pub const EXAMPLES: &str = "Examples:
  test --config /etc/metlog/sidecar.toml
  test --formatter nginx /var/log/nginx/access.log
  test --config /etc/metlog/sidecar.toml --input shop /var/log/shop/app.log.2.gz";

/// Lines that are not taken and are shown; the rest is counted.
const MOST_SHOWN: usize = 10;

/// What to test.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Shows what lines become by this formatter: one of the configuration, or a format of its usual form (nginx, apache,
    /// json, logfmt, syslog, cef, mysql_slow).
    #[arg(long, requires = "file")]
    formatter: Option<String>,
    /// Shows what lines become by this input: its formatters, its encoding, and which lines it joins.
    #[arg(long, requires = "file", conflicts_with = "formatter")]
    input: Option<String>,
    /// The file, plain or compressed; - for the standard input.
    file: Option<PathBuf>,
}

/// Does what the command line says; 0 when all is well, 1 when a test failed or a line was not taken.
#[must_use]
pub fn run(args: &TestArgs, config: &Config) -> ExitCode {
    let done = match &args.file {
        Some(file) => show(args, file, config),
        None => run_tests(config),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// Runs the tests of every formatter.
fn run_tests(config: &Config) -> Result<ExitCode, String> {
    let (mut count, mut failed) = (0_usize, 0_usize);
    for (name, formatter) in &config.formatter {
        let section = format!("formatter.{name}");
        let compiled = formatter.compile(&section).map_err(|wrong| wrong.join("\n"))?;
        for (number, test) in formatter.test.iter().enumerate() {
            count += 1;
            let wrong = test.run(&compiled);
            if !wrong.is_empty() {
                failed += 1;
                say(&format!("{section}.test {}: {}", number + 1, first_line(&test.line)))?;
                wrong.iter().try_for_each(|wrong| say(&format!("    {wrong}")))?;
            }
        }
    }
    say(&format!("{count} tests of {} formatters, {failed} failed", config.formatter.len()))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Shows a JSON message for each record of the file.
fn show(args: &TestArgs, file: &Path, config: &Config) -> Result<ExitCode, String> {
    let Reader { formatters, splitter, charset } = reader(args, config)?;
    let bytes = read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let (path, hostname) = (file.display().to_string(), process::hostname());
    let labels = Labels::new();
    let origin = Origin { path: &path, hostname: &hostname, labels: Some(&labels) };
    let (mut count, mut not_taken) = (0_usize, 0_usize);
    let mut rest = bytes.as_slice();
    while let Found::Record { content, end, .. } = splitter.next(rest, true, false) {
        let record = rest.get(..content).unwrap_or_default();
        rest = rest.get(end..).unwrap_or_default();
        if record.is_empty() {
            continue;
        }
        let (text, _) = charset.decode(record);
        let now = Timestamp::now();
        let (parsed, is_unformatted) = entry::parse(&text, &formatters, now, &origin);
        let json = to_json(&entry::message(&parsed, &path, now, &hostname));
        if writeln!(out, "{json}").is_err() {
            // Nobody reads on: `| head`.
            return Ok(ExitCode::SUCCESS);
        }
        count += 1;
        not_taken += usize::from(is_unformatted);
        if is_unformatted && not_taken <= MOST_SHOWN {
            complain(&format!("not taken: {}", first_line(&text)));
        }
    }
    let _nobody_reads_on = out.flush();
    complain(&format!("{count} records, {not_taken} not taken by a formatter"));
    Ok(if not_taken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How bytes become messages.
struct Reader {
    formatters: Vec<Formatter>,
    splitter: Splitter,
    charset: Charset,
}

fn reader(args: &TestArgs, config: &Config) -> Result<Reader, String> {
    if let Some(name) = &args.input {
        let known = config.log_files().find(|(known, _)| *known == name);
        let (_, (input, compiled)) = known.ok_or_else(|| format!("there is no [input.files.{name}]"))?;
        let Compiled { formatters, splitter, .. } = compiled;
        return Ok(Reader { formatters, splitter, charset: input.encoding });
    }
    let name = args.formatter.as_deref().ok_or("--formatter or --input says how the file is to be read")?;
    let formatter = match config.formatter.get(name) {
        Some(formatter) => formatter.clone(),
        None => usual(name)
            .ok_or_else(|| format!("there is no [formatter.{name}], and no format of that name"))?,
    };
    let compiled = formatter.compile(&format!("formatter.{name}")).map_err(|wrong| wrong.join("\n"))?;
    let joins = formatter.format == super::Format::MysqlSlow;
    let multiline = MultilineConfig { preset: Some(Preset::MysqlSlow), ..MultilineConfig::default() };
    let joiner = joins.then(|| multiline.compile("multiline")).transpose()?;
    let splitter = Splitter { max_bytes: 256 * 1024, joiner };
    Ok(Reader { formatters: vec![compiled], splitter, charset: Charset::Utf8 })
}

/// A format by its name alone.
fn usual(name: &str) -> Option<FormatterConfig> {
    let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
    super::Format::deserialize(name).ok().map(FormatterConfig::new)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    if Encoding::of(file) == Encoding::Plain {
        return fs::read(file);
    }
    let mut source = Source::open(file)?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        let (count, _) = source.read_at(u64::try_from(bytes.len()).unwrap_or(u64::MAX), &mut chunk)?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
}

fn say(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())
}

#[expect(clippy::print_stderr, reason = "what the command found, beside what it was asked for")]
fn complain(text: &str) {
    eprintln!("{text}");
}
