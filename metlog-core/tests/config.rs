//! Configurations: every setting through every source, what errors say, and that the documentation has the same keys.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use metlog_core::{
    Client, ErrorKind, Options, Severity,
    config::{Config, File, FilterRule, Given, Raw, SenderClass, Settings, keys, variable},
    filter::SeverityMax,
    sender,
};
use proptest::prelude::*;

/// A value of every setting that is not its default: in TOML, in INI, in the environment.
const SAMPLES: [(&str, &str, &str, &str); 26] = [
    ("logger", "\"app\"", "app", "app"),
    ("severity", "4", "4", "4"),
    ("disabled_timers", "[\"a\", \"b\"]", "a\n  b", "a,b"),
    ("filters_severity_max", "5", "5", "5"),
    ("filters_type_blacklist", "[\"x\", \"y\"]", "x\n  y", "x, y"),
    ("filters_type_whitelist", "\"z\"", "z", "z"),
    ("filters_type_severity_max", "{ t = 3, u = 4 }", "t = 3\n  u = 4", "t=3,u=4"),
    ("filters_type_rate", "{ t = 0.5, u = 1 }", "t = 0.5\n  u = 1", "t=0.5,u=1"),
    ("sender_class", "\"pub\"", "metlog.senders.zmq.ZmqPubSender", "pub"),
    ("delivery", "\"acked\"", "acked", "acked"),
    ("endpoint", "[\"tcp://a:1\", \"ipc:///b\"]", "tcp://a:1\n  ipc:///b", "tcp://a:1,ipc:///b"),
    ("link_endpoint", "\"tcp://a:2\"", "tcp://a:2", "tcp://a:2"),
    ("sender_bindstrs", "\"tcp://a:3\"", "tcp://a:3", "tcp://a:3"),
    ("sender_bind", "true", "yes", "1"),
    ("sender_host", "[\"a\", \"b\"]", "a\n  b", "a,b"),
    ("sender_port", "[1, 2]", "1\n  2", "1,2"),
    ("sender_newline", "true", "on", "true"),
    ("sender_filepath", "\"/tmp/a, b\"", "/tmp/a, b", "/tmp/a, b"),
    ("queue_bytes", "\"16MiB\"", "16MiB", "16 MiB"),
    ("batch_bytes", "32768", "32KiB", "32768"),
    ("batch_messages", "100", "100", "100"),
    ("batch_age", "\"5ms\"", "5ms", "5ms"),
    ("aggregate", "true", "T", "on"),
    ("aggregate_interval", "\"1m\"", "60s", "1m"),
    ("max_names", "7", "7", "7"),
    ("stats_interval", "0", "0", "0"),
];

fn no_variables() -> Vec<(String, String)> {
    Vec::new()
}

fn toml(text: &str) -> Result<Config, String> {
    read(Some(File::Toml(text, "app.toml")), &[])
}

fn ini(text: &str) -> Result<Config, String> {
    read(Some(File::Ini(text, "metlog")), &[])
}

fn env(variables: &[(&str, &str)]) -> Result<Config, String> {
    read(None, variables)
}

fn read(file: Option<File<'_>>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let read = Config::read(file, variables).map(|(config, _)| config);
    read.map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    })
}

/// The settings in one more form: `sender_class` as `class` in the table `[sender]`.
fn nested(samples: &[(&str, &str)]) -> String {
    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    for (key, value) in samples {
        let (table, key) = ["sender", "filters"]
            .iter()
            .find_map(|table| Some((*table, key.strip_prefix(table)?.strip_prefix('_')?)))
            .unwrap_or(("", key));
        *tables.entry(table).or_default() += &format!("{key} = {value}\n");
    }
    let text =
        |(table, body): (&str, String)| if table.is_empty() { body } else { format!("[{table}]\n{body}") };
    tables.into_iter().map(text).collect()
}

#[test]
fn every_setting_is_the_same_from_every_source() {
    let sampled: BTreeSet<&str> = SAMPLES.iter().map(|(key, ..)| *key).collect();
    assert_eq!(sampled, keys().collect(), "every key has its sample");

    // One by one: each changes something, and all of them the same.
    for (key, in_toml, in_ini, in_env) in SAMPLES {
        // What a sender needs beside the one under test.
        let more = (key == "sender_class").then_some(("sender_bindstrs", "tcp://a:1"));
        let extra =
            |line: fn(&str, &str) -> String| more.map(|(key, value)| line(key, value)).unwrap_or_default();
        let plain = format!("{key} = {in_toml}\n{}", extra(|key, value| format!("{key} = {value:?}")));
        let from_toml = toml(&plain).unwrap();
        assert_ne!(from_toml, Config::default(), "{key} changes nothing");
        let option = format!("[metlog]\n{key} = {in_ini}\n{}", extra(|key, value| format!("{key}: {value}")));
        assert_eq!(ini(&option).unwrap(), from_toml, "{option}");
        let names = [Some((key, in_env)), more].map(|pair| pair.map(|(key, value)| (variable(key), value)));
        let pairs: Vec<_> = names.iter().flatten().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(env(&pairs).unwrap(), from_toml, "{pairs:?}");
    }

    // All together.
    let all: Vec<_> = SAMPLES.iter().map(|(key, in_toml, ..)| (*key, *in_toml)).collect();
    let from_toml = toml(&nested(&all)).unwrap();
    let options: String = SAMPLES.iter().map(|(key, _, value, _)| format!("{key} = {value}\n")).collect();
    assert_eq!(
        without_order(ini(&format!("[metlog]\n{options}")).unwrap()),
        without_order(from_toml.clone())
    );
    let named: Vec<_> = SAMPLES.iter().map(|(key, _, _, value)| (variable(key), *value)).collect();
    let named: Vec<_> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(without_order(env(&named).unwrap()), without_order(from_toml));
}

/// Filters in one order: a message must pass all of them, whichever comes first.
fn without_order(mut config: Config) -> Config {
    config.filters.sort_by_key(|rule| format!("{rule:?}").split('(').next().map(str::to_owned));
    config
}

#[test]
fn the_environment_comes_before_the_file_and_code_before_both() {
    let file = File::Toml("logger = \"file\"\nseverity = 3\n[filters]\nseverity_max = 5\n", "");
    let variables =
        [("METLOG_LOGGER", "env"), ("METLOG_FILTERS_SEVERITY_MAX", "7"), ("METLOG_QUEUE_BYTES", "")];
    let mut config = read(Some(file), &variables).unwrap();
    assert_eq!((config.logger.as_str(), config.severity), ("env", Severity::ERROR));
    assert_eq!(config.filters, [FilterRule::SeverityMax(Severity::DEBUG)], "a filter of one kind replaces");
    assert_eq!(config.settings, Settings::default(), "an empty variable is one that is not set");

    config.logger = "changed".to_owned();
    let (memory, captured) = sender::memory::channel();
    for builder in [
        Client::builder().logger("code").sender(memory.clone()).configured(config.clone()),
        Client::builder().configured(config).logger("code").sender(memory),
    ] {
        let client = builder.filter(SeverityMax(Severity::WARNING)).build();
        client.metlog("kept", Options::default());
        client.info("dropped by the filter of code");
        client.close(Duration::from_secs(5));
    }
    let got: Vec<_> =
        captured.messages().into_iter().map(|message| (message.logger, message.severity)).collect();
    let expected = ("code".to_owned(), Severity::ERROR);
    assert_eq!(got, [expected.clone(), expected]);
}

#[test]
fn errors_name_the_place_the_key_the_value_and_the_way_out() {
    let table: [(&str, &[&str]); 14] = [
        (
            "\n\nqueue_byte = 1\n",
            &["app.toml, line 3: unknown key `queue_byte`; did you mean `queue_bytes`?"],
        ),
        (
            "[sender]\nklass = \"pub\"\n",
            &["app.toml, line 2: unknown key `sender.klass`; did you mean `sender.class`?"],
        ),
        ("[zeppelin]\n", &["app.toml, line 1: unknown key `zeppelin`"]),
        ("severity = 9\n", &["app.toml, line 1: severity is 9, expected 0 (emergency) to 7 (debug)"]),
        ("severity = \"6\"\n", &["line 1: severity is \"6\", expected 0"]),
        (
            "queue_bytes = \"lots\"\n",
            &["queue_bytes is \"lots\", expected a size from 1 byte on, for example \"4MiB\""],
        ),
        ("queue_bytes = 0\n", &["queue_bytes is 0, expected"]),
        ("batch_bytes = \"3MiB\"\n", &["batch_bytes is \"3MiB\"", "2MiB"]),
        ("batch_age = 10\n", &["batch_age is 10", "\"10ms\""]),
        ("aggregate_interval = \"0s\"\n", &["aggregate_interval is \"0s\"", "over 0"]),
        (
            "a = 1\nseverity = 8\nlogger = []\n",
            &["line 1: unknown key `a`", "line 2: severity is 8", "line 3: logger is a list"],
        ),
        ("logger = \"${NOT_SET}\"\n", &["app.toml, line 1: variable NOT_SET is not set"]),
        ("logger = [\n", &["app.toml, line"]),
        ("[sender]\nclass = \"file\"\n", &["sender_filepath is not set", "sender_class is file"]),
    ];
    for (text, parts) in table {
        let error = toml(text).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{text:?}: {error}");
    }
    let error = env(&[("METLOG_BATCH_MESSAGES", "-1")]).unwrap_err();
    assert_eq!(error, "environment: METLOG_BATCH_MESSAGES is \"-1\", expected a whole number from 1 on");
}

#[test]
fn ini_errors_name_the_section() {
    let table = [
        ("[other]\n", "section [metlog] is not there, expected one of [other]"),
        ("logger = x\n[metlog]\n", "an option stands before the first section"),
        ("[metlog]\nlogger\n", "section [metlog]: logger has no value"),
        ("[metlog]\nseverity = high\n", "section [metlog]: severity is \"high\", expected 0 (emergency)"),
        ("[metlog]\nlogge = x\n", "section [metlog]: unknown key `logge`; did you mean `logger`?"),
        (
            "[metlog]\nlogger = ${GONE}\n",
            "section [metlog]: logger is \"${GONE}\", but variable GONE is not set",
        ),
        ("[metlog]\nlogger = 5%\n", "a % stands alone, expected %% or %(name)s"),
        ("[metlog]\nlogger = %(gone)s\n", "there is no option \"gone\""),
        ("[metlog]\nlogger = %(a)s\na = %(a)s\n", "more than 10 deep"),
        ("[metlog]\nsender_class = myapp.Sender\n", "other Python classes cannot be used from Rust"),
        ("[metlog]\nsender_class = udp\nsender_port = 1\n", "sender_host is not set"),
        ("[metlog]\n[metlog_filter_a]\ntypes = x\n", "section [metlog_filter_a] has no provider"),
        (
            "[metlog]\n[metlog_filter_a]\nprovider = app.f\n",
            "section [metlog_filter_a]: provider is \"app.f\"",
        ),
        (
            "[metlog]\n[metlog_filter_a]\nprovider = metlog.filters.severity_max\n",
            "[metlog_filter_a]: severity is not set",
        ),
        (
            "[metlog]\n[metlog_filter_a]\nprovider = metlog.filters.severity_max_provider\nseverity = 8\n",
            "section [metlog_filter_a]: severity is \"8\", expected 0",
        ),
    ];
    for (text, part) in table {
        let error = ini(text).unwrap_err();
        assert!(error.contains(part), "{text:?}: {error}");
    }
}

/// A file as applications of the original have it; what it says was read by Python's `ConfigParser`.
#[test]
fn an_ini_file_of_the_original_is_read_as_python_reads_it() {
    let text = "
[DEFAULT]
environment = stage
severity = 5

[metlog]
Logger: sync%(environment)s   ; the name in reports
  # a comment between
sender_class = metlog.senders.UdpSender
sender_host = 10.0.0.1
    10.0.0.2

    ; commented out
    ${THIRD}
sender_port = 5565
sender_pool_size = 10
disabled_timers =
    one;two
    three
global_disabled_decorators = timeit

[metlog_plugin_procinfo]
provider = metlog_psutils.psutil_plugin:config_plugin

[metlog_filter_a]
provider = metlog.filters.type_blacklist_provider
types = noise

[metlog_filter_b]
provider = metlog.filters.type_blacklist_provider
types = more

[another application]
whatever = it likes
";
    let config = read(Some(File::Ini(text, "metlog")), &[("THIRD", "10.0.0.3")]).unwrap();
    assert_eq!((config.logger.as_str(), config.severity), ("syncstage", Severity::NOTICE));
    assert_eq!(config.sender.class, SenderClass::Udp);
    assert_eq!(config.sender.host, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(config.sender.port, [5565]);
    assert_eq!(config.disabled_timers, ["one;two", "three"].map(str::to_owned).into());
    let types = |name: &str| FilterRule::TypeBlacklist([name.to_owned()].into());
    assert_eq!(config.filters, [types("noise"), types("more")]);
}

#[test]
fn a_variable_that_is_nearly_a_setting_is_told_of() {
    let warnings = |name: &str| Config::read(None, [(name.to_owned(), "1".to_owned())]).unwrap().1;
    let said = ["environment: METLOG_QUEUE_BYTE is no setting; did you mean `METLOG_QUEUE_BYTES`?"];
    assert_eq!(warnings("METLOG_QUEUE_BYTE"), said);
    for left_alone in
        ["METLOG_LOG", "METLOG_DATA_DIR", "METLOG_DEMO_REPORT", "METLOG_", "QUEUE_BYTES", "PATH"]
    {
        assert!(warnings(left_alone).is_empty(), "{left_alone}");
    }
}

#[test]
fn a_disabled_timer_measures_nothing() {
    for (disabled, expected) in [(vec![], 2), (vec!["a"], 1), (vec!["*"], 0)] {
        let (memory, captured) = sender::memory::channel();
        let config = Config {
            disabled_timers: disabled.iter().map(|&name| name.into()).collect(),
            ..Config::default()
        };
        let client = Client::builder().sender(memory).configured(config).build();
        assert_eq!(client.timer("a").stop().is_none(), !disabled.is_empty());
        drop(client.timer("b"));
        client.close(Duration::from_secs(5));
        assert_eq!(captured.messages().len(), expected, "{disabled:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Client::from_toml_file("/nowhere/metlog.toml").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("/nowhere/metlog.toml"), "{error}");
}

#[test]
fn a_client_of_a_file_writes_where_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, config) = (folder.path().join("messages.jsonl"), folder.path().join("metlog.toml"));
    let text = format!("logger = \"app\"\n[sender]\nclass = \"file\"\nfilepath = {:?}\n", messages.display());
    std::fs::write(&config, text).unwrap();
    let client = Client::from_toml_file(&config).unwrap();
    client.incr("configured");
    assert_eq!(client.close(Duration::from_secs(5)).dropped, 0);
    let written = std::fs::read_to_string(messages).unwrap();
    assert!(written.contains("\"logger\":\"app\"") || written.contains("\"logger\": \"app\""), "{written}");
}

/// Rows of the tables in `docs/configuration.md`: key, default, variable.
fn documented() -> Vec<(String, String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let text = std::fs::read_to_string(page).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let rows = text.lines().filter(|line| line.starts_with("| `") && line.contains("`METLOG_")).map(cells);
    rows.map(|row| {
        let [key, _, default, name] = row.try_into().unwrap();
        (key, default, name)
    })
    .collect()
}

#[test]
fn the_documentation_has_every_key_its_variable_and_its_default() {
    let documented = documented();
    let names: Vec<&str> = documented.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(names, keys().collect::<Vec<_>>(), "the keys, in order");
    for (key, default, name) in &documented {
        assert_eq!(*name, variable(key));
        if default != "none" {
            assert_eq!(env(&[(name, default)]).unwrap(), Config::default(), "{key} is {default} by default");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_but_never_panics(text in "(\\[metlog[a-z_]{0,8}\\]|[a-z_ ]{0,12}|[=:;%$(){}\"',.0-9\n \t])*") {
        for file in [File::Toml(&text, ""), File::Ini(&text, "metlog")] {
            let _refused = Config::read(Some(file), no_variables());
        }
    }

    #[test]
    fn sizes_and_times_survive_every_source(
        bytes in 1..=2_u64 << 20, millis in 1..86_400_000_u64, level in 0..8_u8, names in proptest::collection::btree_set("[a-z.*]{1,8}", 1..4),
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let from_toml = toml(&format!(
            "batch_bytes = {bytes}\nbatch_age = \"{millis}ms\"\nseverity = {level}\ndisabled_timers = {names:?}\n",
        )).unwrap();
        let from_ini = ini(&format!(
            "[metlog]\nbatch_bytes = {bytes}B\nbatch_age = {millis}ms\nseverity = {level}\ndisabled_timers =\n  {}\n", names.join("\n  "),
        )).unwrap();
        let (bytes, millis, level) = (bytes.to_string(), format!("{millis} ms"), level.to_string());
        let from_env = env(&[
            ("METLOG_BATCH_BYTES", &bytes), ("METLOG_BATCH_AGE", &millis), ("METLOG_SEVERITY", &level),
            ("METLOG_DISABLED_TIMERS", &names.join(",")),
        ]).unwrap();
        prop_assert_eq!(&from_toml, &from_ini);
        prop_assert_eq!(from_toml, from_env);
    }
}

#[test]
fn keywords_of_a_face_come_before_the_environment_and_are_checked_like_it() {
    let given = |settings: &[(&str, Raw)]| Given {
        place: "configure()".to_owned(),
        settings: settings.iter().map(|(key, raw)| ((*key).to_owned(), raw.clone())).collect(),
    };
    let config =
        Config::from_code(given(&[("max_names", Raw::Int(7)), ("aggregate", Raw::Bool(true))]), None);
    let config = config.unwrap();
    assert_eq!((config.settings.max_names, config.settings.aggregate), (7, true));
    let wrong = given(&[("queue_byte", Raw::Int(1)), ("severity", Raw::Int(9))]);
    assert_eq!(
        Config::from_code(wrong, None).unwrap_err().to_string(),
        "configure(): unknown key `queue_byte`; did you mean `queue_bytes`?\n\
         configure(): severity is 9, expected 0 (emergency) to 7 (debug)"
    );
}
