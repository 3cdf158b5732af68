//! Configuration as users meet it: files, flags and variables in, commands and exact messages out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use parca_agent::cli::{self, Command, Error, Invocation};
use parca_agent::config::host::HostDiscovery;
use parca_agent::config::{Config, file};
use parca_agent::exit::Exit;
use parca_agent::label::LabelSet;
use parca_agent::log::{Format, Level};
use parca_agent::relabel::Verdict;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn invocation(line: &str, variables: &[(&str, &str)]) -> Invocation {
    Invocation {
        arguments: line.split_whitespace().map(Into::into).collect(),
        variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        host_name: "host".into(),
    }
}

fn load(line: &str, variables: &[(&str, &str)]) -> Result<Command, Error> {
    cli::load(&invocation(line, variables), file::read)
}

fn run(line: &str, variables: &[(&str, &str)]) -> Config {
    match load(line, variables) {
        Ok(Command::Run { config, .. }) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

fn printed(line: &str) -> String {
    match load(line, &[]) {
        Ok(Command::Print { output, .. }) => output,
        other => panic!("{line}: {other:?}"),
    }
}

/// A configuration file of its own, which ends with its directory.
struct Written {
    _directory: TempDir,
    path: PathBuf,
}

impl Written {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("parca-agent.toml");
        fs::write(&path, content).unwrap();
        Self { _directory: directory, path }
    }

    /// The error of a run with this file, less the directory in front of the file name.
    fn error(&self) -> (String, Exit) {
        error_of(&self.path)
    }
}

fn error_of(path: &Path) -> (String, Exit) {
    let mut with_file = invocation("--config-path", &[]);
    with_file.arguments.push(path.into());
    let error = cli::load(&with_file, file::read).unwrap_err();
    let text = error.to_string();
    let directory = format!("{}/", path.parent().unwrap().display());
    (text.strip_prefix(&directory).unwrap_or(&text).to_owned(), error.exit())
}

fn shipped_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        examples.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.push(root.join("packaging/parca-agent.toml"));
    files
}

#[test]
fn every_shipped_file_is_right() {
    let files = shipped_files();
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        let path = path.display();
        assert_eq!(printed(&format!("config check {path}")), format!("{path}: ok\n"));
    }
}

#[test]
fn the_example_of_everything_sets_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/everything.toml");
    let config = run(&format!("--config-path {}", path.display()), &[]);
    let diff = Config::reload_diff(&Config::defaults("host".into()), &config);
    let mut changed = [diff.at_once, diff.at_restart].concat();
    changed.sort_unstable();
    let mut keys = visible_keys();
    // No flag, and so not in the help text.
    keys.push("relabel-configs".into());
    // It cannot be set beside a file.
    keys.retain(|key| key != "bearer-token");
    keys.sort_unstable();
    assert_eq!(changed, keys);
}

/// Keys of a file, sorted: the flags of the help text, without the one that names the file.
fn visible_keys() -> Vec<String> {
    let help = printed("--help");
    let flags = help.lines().filter_map(|line| line.strip_prefix("  --")?.split('=').next());
    let mut keys: Vec<_> = flags.filter(|flag| *flag != "config-path").map(str::to_owned).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_packaged_file_shows_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/parca-agent.toml");
    let text = fs::read_to_string(path).unwrap();
    let commented: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')))
        .collect();
    let mut keys: Vec<_> = commented.iter().filter_map(|line| line.split(' ').next()).collect();
    keys.sort_unstable();
    assert_eq!(keys, visible_keys());

    let file = Written::new(commented.join("\n"));
    let config = run(&format!("--config-path={}", file.path.display()), &[]);
    let diff = Config::reload_diff(&Config::defaults("HOST NAME".into()), &config);
    // Without a default there is an example.
    assert_eq!((diff.at_once, diff.at_restart), (vec!["external-label"], vec![]));
}

#[test]
fn without_anything_there_are_the_defaults() {
    assert_eq!(run("", &[]), Config::defaults("host".into()));
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let file = Written::new(
        "log-level = 'error'\nnode = 'file'\nthread-labels = false\n[external-label]\na = 'file'\nb = 'file'",
    );
    let path = file.path.to_str().unwrap();
    let variables = [
        ("PARCA_AGENT_CONFIG_PATH", path),
        ("PARCA_AGENT_NODE", "variable"),
        ("PARCA_AGENT_LOG_LEVEL", "warn"),
    ];
    let config = run("--log-level=debug --external-label=a=flag --external-label c=1;d=2", &variables);
    assert_eq!(config.log.level, Level::Debug);
    assert_eq!(config.labels.node, "variable");
    assert!(!config.profiling.thread_labels);
    assert_eq!(config.log.format, Format::Logfmt);
    assert_eq!(config.labels.external.to_string(), r#"{a="flag",c="1",d="2"}"#);
    assert_eq!(run("", &variables).labels.external.to_string(), r#"{a="file",b="file"}"#);
}

#[test]
fn what_is_printed_is_read_back_as_the_same() {
    let flags = "--node=n --external-label=a=x\"y\\ --log-level=debug --force-object=baseline \
                 --profiling-duration=90s --temp-dir=/x --sampling-ratio=.25 --no-kubernetes --host \
                 --pod-label-selector=b,a==c --systemd-units=ssh,a*.scope --systemd-units=b@1 --include-env-var A \
                 --kubeconfig=/k --remote-store-address=s.example:443 --bearer-token-file /t \
                 --store-tls-min-version=1.2 --debuginfo-deny=/opt/*";
    let text = printed(&format!("config print {flags}"));
    assert_eq!(
        text,
        "log-level = \"debug\"\nlog-format = \"logfmt\"\nhttp-address = \":7071\"\nnode = \"n\"\n\
         sampling-ratio = 0.25\nkubernetes = false\nkubeconfig = \"/k\"\npod-label-selector = \"a=c,b\"\n\
         systemd-units = [\"ssh.service\", \"a*.scope\", \"b@1.service\"]\nsocket-path = \"\"\n\
         containers = true\nhost = \"on\"\ninclude-env-var = [\"A\"]\n\
         store-address = \"s.example:443\"\n\
         bearer-token = \"\"\n\
         bearer-token-file = \"/t\"\n\
         insecure = false\n\
         insecure-skip-verify = false\n\
         store-token-over-plaintext = false\n\
         store-ca-file = \"\"\n\
         store-client-certificate = \"\"\n\
         store-client-key = \"\"\n\
         store-tls-min-version = \"1.2\"\n\
         store-header = []\n\
         store-queue-size = \"64MiB\"\n\
         store-spool-directory = \"\"\n\
         store-spool-size = \"1GiB\"\n\
         store-batch-interval = \"10s\"\n\
         local-store-directory = \"\"\n\
         local-store-size = \"1GiB\"\n\
         local-store-age = \"168h\"\n\
         debuginfo-upload-disable = false\n\
         debuginfo-directories = []\n\
         debuginfo-allow = []\n\
         debuginfo-deny = [\"/opt/*\"]\n\
         debuginfo-upload-rate = \"16MiB\"\n\
         temp-dir = \"/x\"\nprofiling-duration = \"1m30s\"\nprofiling-cpu-sampling-frequency = 100\n\
         thread-labels = true\nunwind-table-memory = \"64MiB\"\n\
         unwind-table-cache = \"/var/cache/parca-agent\"\nforce-object = \"baseline\"\n\n\
         [external-label]\na = 'x\"y\\'\n"
    );
    let file = Written::new(text);
    assert_eq!(run(&format!("--config-path={}", file.path.display()), &[]), run(flags, &[]));
}

#[test]
fn secrets_are_not_printed() {
    let text = printed("config print --bearer-token=abcdef --store-header=x-key=ghijkl");
    assert!(!text.contains("abcdef") && !text.contains("ghijkl"), "{text}");
    let variables = [("PARCA_BEARER_TOKEN", "abcdef")];
    assert_eq!(run("", &variables).store.connection.token.secret(), Some("abcdef"));
    // What hides them is no secret itself.
    assert!(load("--bearer-token=(hidden)", &[]).is_err());
}

#[test]
fn a_file_that_is_wrong_is_told_by_line_column_and_key() {
    let label = "[external-label]\n";
    let reserved = "is reserved: the agent itself sets node, comm, cgroup, and names beginning with __";
    for (text, expected) in [
        ("\n\nhttp-adress = ':1'", r#":3:1: unknown key "http-adress", did you mean "http-address"?"#.to_owned()),
        ("log_level = 'info'", r#":1:1: unknown key "log_level", did you mean "log-level"?"#.into()),
        ("node = 'ü'; x", ":1:11: unexpected key or value, expected newline, `#`".into()),
        ("[bogus]\na = 1", r#":1:2: unknown key "bogus""#.into()),
        ("zz = 1\naa = 1", r#":1:1: unknown key "zz""#.into()),
        ("config-path = '/a'", r#":1:1: key "config-path" cannot be set in a file, only by a flag or a variable"#.into()),
        ("node = 'a'\nnode = 'b'", ":2:1: duplicate key".into()),
        ("external-label = { a = '1' }\nmetadata-external-labels = { b = '1' }", r#":2:1: key "metadata-external-labels" is another name of "external-label", which is set too"#.into()),
        ("node = 1", ":1:8: node: invalid type: integer `1`, expected a string".into()),
        ("node = ['a']", ":1:8: node: invalid type: sequence, expected a string".into()),
        ("node = ''", r#":1:8: node: "" is no node name: 1 to 253 bytes, no control characters"#.into()),
        ("thread-labels = 'yes'", r#":1:17: thread-labels: invalid type: string "yes", expected a boolean"#.into()),
        ("  log-level = 'loud'", r#":1:15: log-level: "loud" is none of error, warn, info, debug"#.into()),
        ("log-format = ''", r#":1:14: log-format: "" is none of logfmt, json"#.into()),
        ("profiling-duration = 10", ":1:22: profiling-duration: invalid type: integer `10`, expected a string".into()),
        ("profiling-duration = '10'", r#":1:22: profiling-duration: "10" needs a unit: h, m, s, ms, us or ns"#.into()),
        ("profiling-duration = '11m'", r#":1:22: profiling-duration: "11m" is out of range: 1s to 10m"#.into()),
        ("profiling-cpu-sampling-frequency = nan", ":1:36: profiling-cpu-sampling-frequency: invalid type: floating point `NaN`, expected a whole number".into()),
        ("profiling-cpu-sampling-frequency = 0", r#":1:36: profiling-cpu-sampling-frequency: "0" is no whole number from 1 to 10000"#.into()),
        ("profiling-cpu-sampling-frequency = -1", r#":1:36: profiling-cpu-sampling-frequency: "-1" is no whole number from 1 to 10000"#.into()),
        ("profiling-cpu-sampling-frequency = '100'", r#":1:36: profiling-cpu-sampling-frequency: invalid type: string "100", expected a whole number"#.into()),
        ("http-address = '7071'", r#":1:16: http-address: "7071" has no port: write HOST:PORT, or :PORT for every interface"#.into()),
        ("temp-dir = 'tmp'", r#":1:12: temp-dir: "tmp" is no absolute path"#.into()),
        ("external-label = 'a=1'", r#":1:18: external-label: invalid type: string "a=1", expected a table of strings"#.into()),
        (&format!("{label}a = 1"), ":2:5: external-label: invalid type: integer `1`, expected a string".into()),
        (&format!("{label}node = 'a'"), format!(":2:8: external-label: label \"node\" {reserved}")),
        (&format!("{label}a = ''"), ":2:5: external-label: label \"a\" has no value".into()),
        ("node = \"a\nb\"", ":1:10: invalid basic string, expected `\"`".into()),
        ("node", ":1:5: key with no value, expected `=`".into()),
        ("\0", ":1:1: invalid unquoted key, expected letters, numbers, `-`, `_`".into()),
        ("[log-level]\na = 1", ":1:1: log-level: invalid type: map, expected a string".into()),
        ("sampling-ratio = nan", ":1:18: sampling-ratio: \"NaN\" is no number from 0.0 to 1.0".into()),
        ("sampling-ratio = -inf", ":1:18: sampling-ratio: \"-inf\" is no number from 0.0 to 1.0".into()),
        ("sampling-ratio = 2", ":1:18: sampling-ratio: \"2\" is no number from 0.0 to 1.0".into()),
        ("sampling-ratio = '1'", ":1:18: sampling-ratio: invalid type: string \"1\", expected a number".into()),
        ("kubeconfig = 'a'", ":1:14: kubeconfig: \"a\" is no absolute path".into()),
        ("pod-label-selector = 'a in (b'", ":1:22: pod-label-selector: bad selector at position 8: expected , or )".into()),
        ("systemd-units = ['a', 'b c']", ":1:23: systemd-units: \"b c\" is no unit: ' ' is none of letters, digits and : - _ . \\ @ * ? [ ]".into()),
        ("systemd-units = 'a,,b'", ":1:17: systemd-units: \"a,,b\" has an empty entry".into()),
        ("systemd-units = ['']", ":1:18: systemd-units: \"\" is no unit: it has no name".into()),
        ("systemd-units = 1", ":1:17: systemd-units: invalid type: integer `1`, expected an array of strings, or a string".into()),
        ("include-env-var = ['A-B']", ":1:20: include-env-var: \"A-B\" is no name of a variable: letters, digits and _ only, no digit first, at most 255".into()),
        ("host = 'yes'", ":1:8: host: \"yes\" is none of auto, on, off, true, false".into()),
        ("host = 1", ":1:8: host: invalid type: integer `1`, expected true, false or \"auto\"".into()),
        ("\u{feff}node = 'a'", ": begins with a byte order mark; save it as UTF-8 without one".into()),
    ] {
        let (error, exit) = Written::new(text).error();
        assert_eq!((error, exit), (format!("parca-agent.toml{expected}"), Exit::Config), "{text:?}");
    }
}

#[test]
fn a_rule_that_is_wrong_is_told_by_its_place_and_field() {
    let rule = "[[relabel-configs]]\n";
    let good = "[[relabel-configs]]\ntarget_label = 'a'\n";
    for (text, expected) in [
        (
            format!("{good}{rule}sorce_labels = ['a']"),
            r#":4:1: relabel-configs: rule 2: unknown key "sorce_labels", did you mean "source_labels"?"#,
        ),
        (format!("{rule}  bogus = 1"), r#":2:3: relabel-configs: rule 1: unknown key "bogus""#),
        (
            format!("{rule}target_label = 'a'\ntarget-label = 'b'"),
            ":2:1: relabel-configs: rule 1: target_label is given twice",
        ),
        (
            format!("{good}\n{rule}action = 'keep'\nregex = '('"),
            r#":4:1: relabel-configs: rule 2: regex: "(" is no regular expression: found open group without closing ')'"#,
        ),
        (
            format!("{rule}action = 'kep'"),
            r#":2:10: relabel-configs: rule 1: action: "kep" is none of replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase"#,
        ),
        (
            format!("{rule}action = 'hashmod'\nmodulus = -8\ntarget_label = 'a'"),
            ":3:11: relabel-configs: rule 1: modulus: -8 is no whole number from 1 on",
        ),
        (
            format!("{rule}source_labels = 'a'"),
            r#":2:17: relabel-configs: invalid type: string "a", expected a sequence"#,
        ),
        (format!("{rule}regex = 1"), ":2:9: relabel-configs: invalid type: integer `1`, expected a string"),
        // The fault is in a rule even if another key stands between the rules.
        (
            format!("{good}[external-label]\na = 'b'\n{rule}"),
            ":5:1: relabel-configs: rule 2: target_label: the action replace needs one",
        ),
        (
            "relabel-configs = [{ target_label = 'a' }, { }]".into(),
            ":1:44: relabel-configs: rule 2: target_label: the action replace needs one",
        ),
        (
            "relabel-configs = 'drop'".into(),
            r#":1:19: relabel-configs: invalid type: string "drop", expected an array of tables"#,
        ),
        (
            "relabel-configs = ['drop']".into(),
            r#":1:20: relabel-configs: invalid type: string "drop", expected a table"#,
        ),
        (good.repeat(257), ":1:1: relabel-configs: has over 256 rules"),
    ] {
        let (error, exit) = Written::new(&text).error();
        assert_eq!((error, exit), (format!("parca-agent.toml{expected}"), Exit::Config), "{text:?}");
    }
}

#[test]
fn rules_are_printed_as_they_were_written() {
    let text = "[[relabel-configs]]\nsource-labels = []\nseparator = ''\ntarget_label = 'a'\nreplacement = '$$1'\n\
                [[relabel-configs]]\naction = 'LabelDrop'\nregex = 'a\\.b\"'\n";
    let file = Written::new(text);
    let printed = printed(&format!("--config-path={} config print", file.path.display()));
    assert!(
        printed.ends_with(
            "[[relabel-configs]]\nsource_labels = []\nseparator = \"\"\ntarget_label = \"a\"\n\
             replacement = \"$$1\"\n\n[[relabel-configs]]\nregex = 'a\\.b\"'\naction = \"labeldrop\"\n"
        ),
        "{printed}"
    );
    let again = Written::new(printed);
    let of = |file: &Written| run(&format!("--config-path={}", file.path.display()), &[]);
    assert_eq!(of(&again), of(&file));
    assert_eq!(of(&file).discovery.relabel.get(1).unwrap().to_string(), r#"labeldrop regex="a\\.b\"""#);
}

#[test]
fn the_example_of_rules_keeps_names_and_drops() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/relabel.toml");
    let rules = run(&format!("--config-path={}", path.display()), &[]).discovery.relabel;
    let applied = |labels: &[(&str, &str)]| {
        let mut labels: LabelSet = labels.iter().copied().collect();
        (rules.apply(&mut labels), labels.to_string())
    };
    let pod = [("namespace", "shop"), ("__meta_kubernetes_pod_label_app", "cart")];
    let named = r#"{__meta_kubernetes_pod_label_app="cart",app="cart",namespace="shop"}"#;
    assert_eq!(applied(&pod), (Verdict::Kept, named.to_owned()));
    assert_eq!(applied(&[("namespace", "shop2")]).0, Verdict::Dropped { rule: 0 });
    assert_eq!(applied(&[("systemd_unit", "nginx.service")]).0, Verdict::Kept);
    assert_eq!(applied(&[("systemd_unit", "systemd-udevd.service")]).0, Verdict::Dropped { rule: 2 });
    assert_eq!(applied(&[("systemd_unit", "session-4.scope")]).0, Verdict::Dropped { rule: 2 });
}

#[test]
fn a_list_is_one_setting() {
    let file = Written::new("systemd-units = ['a', 'b.scope']\ninclude-env-var = 'A, B'");
    let path = file.path.to_str().unwrap();
    let config = |line: &str, variables: &[(&str, &str)]| {
        let discovery = run(&format!("--config-path={path} {line}"), variables).discovery;
        let joined = |entries: Vec<&str>| entries.join(" ");
        (joined(discovery.systemd_units.iter().collect()), joined(discovery.variables.iter().collect()))
    };
    let variables = [("PARCA_AGENT_SYSTEMD_UNITS", "c,d"), ("PARCA_AGENT_INCLUDE_ENV_VAR", "")];
    for (line, variables, units, names) in [
        ("", &[][..], "a.service b.scope", "A B"),
        ("", &variables[..], "c.service d.service", ""),
        ("--systemd-units=e --systemd-units e.service,f", &variables[..], "e.service f.service", ""),
        ("--systemd-units= --include-env-var=C", &variables[..], "", "C"),
    ] {
        assert_eq!(config(line, variables), (units.to_owned(), names.to_owned()), "{line}");
    }
}

#[test]
fn host_is_a_bool_or_auto() {
    for (line, expected) in [
        ("", HostDiscovery::Auto),
        ("--host", HostDiscovery::On),
        ("--host=on", HostDiscovery::On),
        ("--host=true", HostDiscovery::On),
        ("--no-host", HostDiscovery::Off),
        ("--host=off", HostDiscovery::Off),
        ("--host=false", HostDiscovery::Off),
        ("--host=auto", HostDiscovery::Auto),
    ] {
        assert_eq!(run(line, &[]).discovery.host, expected, "{line}");
    }
    for (text, expected) in [
        ("true", HostDiscovery::On),
        ("false", HostDiscovery::Off),
        ("'auto'", HostDiscovery::Auto),
        ("'on'", HostDiscovery::On),
    ] {
        let file = Written::new(format!("host = {text}"));
        assert_eq!(
            run(&format!("--config-path={}", file.path.display()), &[]).discovery.host,
            expected,
            "{text}"
        );
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let utf16: Vec<u8> = "\u{feff}node = 'a'".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let long = vec![b'#'; (1 << 20) + 1];
    for (bytes, expected) in [
        (utf16.as_slice(), ": is not UTF-8 text; it looks like UTF-16, save it as UTF-8"),
        (b"\xfe\xff\0a", ": is not UTF-8 text; it looks like UTF-16, save it as UTF-8"),
        (b"# \xc3\xbc\nnode = '\xff'", ":2:9: is not UTF-8 text"),
        (&long, ": has over 1048576 bytes"),
    ] {
        let (error, exit) = Written::new(bytes).error();
        assert_eq!((error, exit), (format!("parca-agent.toml{expected}"), Exit::Config));
    }
    let longest = Written::new(&long[1..]);
    assert_eq!(run(&format!("--config-path={}", longest.path.display()), &[]).labels.node, "host");
}

#[test]
fn a_deeply_nested_file_is_refused_and_does_not_overflow_the_stack() {
    let (error, _) = Written::new(format!("node = {}", "[".repeat(500_000))).error();
    assert!(error.starts_with("parca-agent.toml:1:"), "{error}");
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let sparse = directory.path().join("sparse");
    fs::File::create(&sparse).unwrap().set_len(1 << 30).unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for (name, expected) in [
        ("fifo", "fifo: is no regular file"),
        ("inner", "inner: is no regular file"),
        ("sparse", "sparse: has over 1048576 bytes"),
        ("a\nb", r"a\nb: cannot be read: No such file or directory (os error 2)"),
    ] {
        assert_eq!(error_of(&directory.path().join(name)), (expected.to_owned(), Exit::Config));
    }
    assert_eq!(error_of(Path::new("/dev/zero")), ("zero: is no regular file".to_owned(), Exit::Config));
}

#[test]
fn a_command_line_that_is_wrong_is_told_by_name() {
    for (line, expected) in [
        ("--http-adress=:1", r#"unknown flag "--http-adress", did you mean "--http-address"?"#),
        ("--log-level=loud", r#"--log-level: "loud" is none of error, warn, info, debug"#),
        ("--log-level=info --log-level=debug", "--log-level: given twice"),
        ("--thread-labels=maybe", r#"--thread-labels: "maybe" is neither true nor false"#),
        ("--config-path=", r#"--config-path: "" is no path"#),
        ("--thread-labels false", r#"unknown command "false""#),
        ("--external-label a=1 --external-label a=2", r#"--external-label: label "a" is given twice"#),
        (
            "--profiling-cpu-sampling-frequency=NaN",
            r#"--profiling-cpu-sampling-frequency: "NaN" is no whole number from 1 to 10000"#,
        ),
        ("confg check", r#"unknown command "confg check", did you mean "config check"?"#),
        ("config", "config needs an action: config check or config print"),
        ("config check a b", r#"unknown command "config check a b""#),
        ("config check", "there is no file to check: write config check PATH, or set --config-path"),
        ("worker --node=a", "worker takes no flags"),
        ("--sampling-ratio=NaN", r#"--sampling-ratio: "NaN" is no number from 0.0 to 1.0"#),
        ("--pod-label-selector=a=,,", "--pod-label-selector: bad selector at position 4: expected a key"),
        ("--systemd-units=a,", r#"--systemd-units: "a," has an empty entry"#),
        ("--host auto", r#"unknown command "auto""#),
        ("--no-host=true", r#"flag "--no-host" takes no value"#),
        ("--relabel-configs=a", "--relabel-configs: can be set in the file alone, as [[relabel-configs]]"),
        ("-- --node=a", r#"unknown command "--node=a""#),
    ] {
        let error = load(line, &[]).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit()), (expected, Exit::Usage), "{line}");
    }
}

#[test]
fn a_wrong_variable_or_host_name_is_a_wrong_configuration() {
    let error = load("", &[("PARCA_AGENT_LOG_LEVEL", "loud")]).unwrap_err();
    assert_eq!(error.to_string(), r#"PARCA_AGENT_LOG_LEVEL: "loud" is none of error, warn, info, debug"#);
    assert_eq!(error.exit(), Exit::Config);

    let error = cli::load(&Invocation::default(), file::read).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"host name "" is no node name: 1 to 253 bytes, no control characters; set --node"#
    );
    assert_eq!(error.exit(), Exit::Config);
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let Ok(Command::Run { warnings, .. }) = load("", &[("PARCA_AGENT_NOED", "a")]) else { panic!() };
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, [r#"unknown variable "PARCA_AGENT_NOED", did you mean "PARCA_AGENT_NODE"?"#]);
}

#[test]
fn a_file_to_check_goes_before_that_of_the_flag() {
    let (good, bad) = (Written::new("node = 'a'"), Written::new("bogus = 1"));
    let (good, bad) = (good.path.display(), bad.path.display());
    assert_eq!(printed(&format!("--config-path={bad} config check {good}")), format!("{good}: ok\n"));
    assert_eq!(printed(&format!("config check --config-path={good}")), format!("{good}: ok\n"));
    let error = load(&format!("--config-path={good} config check -- {bad}"), &[]).unwrap_err();
    assert_eq!(error.to_string(), format!("{bad}:1:1: unknown key \"bogus\""));
}

#[test]
fn the_worker_and_the_version() {
    assert_eq!(load("worker", &[("PARCA_AGENT_LOG_LEVEL", "loud")]).unwrap(), Command::Worker);
    assert_eq!(printed("--version"), format!("parca-agent {}\n", cli::VERSION));
    assert_eq!(printed("help"), printed("-h"));
}

#[test]
fn this_process_has_a_host_name() {
    let invocation = Invocation { arguments: vec![], ..Invocation::of_this_process() };
    assert!(!invocation.host_name.is_empty());
    assert!(!invocation.variables.is_empty());
}

/// An error in one line, without what could change how a terminal shows it.
fn is_plain(error: &Error) -> bool {
    !error.to_string().chars().any(char::is_control)
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused_in_one_line(
        text in prop_oneof![any::<String>(), r#"([a-z-]{1,12}|node|"[^"]{0,4}"|[\[\]={}\n.'"\x1b]| ){0,20}"#],
    ) {
        let with_file = invocation("--config-path=/f.toml", &[]);
        if let Err(error) = cli::load(&with_file, |_| Ok(text.clone())) {
            prop_assert!(is_plain(&error), "{:?}", error);
        }
    }

    #[test]
    fn any_command_line_is_read_or_refused_in_one_line(
        arguments in prop::collection::vec(
            prop_oneof![any::<String>(), "--(node|log-level|thread-labels|external-label)(=[^\0]{0,4})?", "config|check|--"],
            0..6,
        ),
    ) {
        let arguments = arguments.into_iter().map(Into::into).collect();
        if let Err(error) = cli::load(&Invocation { arguments, ..invocation("", &[]) }, file::read) {
            prop_assert!(is_plain(&error), "{:?}", error);
        }
    }
}

#[test]
fn settings_that_do_not_go_together_are_told() {
    for (flags, expected) in [
        ("--bearer-token=a --bearer-token-file=/t", "both set"),
        ("--insecure --store-address=10.0.0.1:1 --bearer-token=a", "without TLS"),
        ("--insecure --store-address=example.org:1 --bearer-token-file=/t", "without TLS"),
        ("--insecure --store-address=10.0.0.1:1 --store-header=x-key=a", "store-header would go"),
        ("--store-client-key=/k", "go together"),
        ("--store-client-certificate=/c", "go together"),
        ("--debuginfo-strip=false", "no code and no data"),
    ] {
        let error = load(flags, &[]).unwrap_err();
        assert!(error.to_string().contains(expected), "{flags}: {error}");
        assert_eq!(error.exit() as u8, 78, "{flags}");
    }
    for flags in [
        "--bearer-token= --bearer-token-file=/t",
        "--insecure --store-address=127.0.0.1:1 --bearer-token=a",
        "--insecure --store-address=localhost:1 --bearer-token=a",
        "--insecure --store-address=10.0.0.1:1",
        "--insecure --store-address=10.0.0.1:1 --bearer-token=a --store-token-over-plaintext",
        "--insecure --store-address=10.0.0.1:1 --store-header=x-key=a --store-token-over-plaintext",
        "--insecure --store-address=[::1]:1 --store-header=x-key=a",
        "--store-address=10.0.0.1:1 --store-header=x-key=a",
        "--store-client-key=/k --store-client-certificate=/c",
        "--debuginfo-strip",
    ] {
        assert!(load(flags, &[]).is_ok(), "{flags}: {:?}", load(flags, &[]).err());
    }
}
