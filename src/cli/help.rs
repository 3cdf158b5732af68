//! The text of `--help`, made from the table of flags and the defaults.

use super::flag;
use super::settings::Settings;
use crate::config::{Config, file};
use std::fmt::Write;

const USAGE: &str = "\
Samples the stacks of every process of this host, and shows where they spend CPU time.

Usage:
  parca-agent [FLAGS]                      run the agent, as root
  parca-agent [FLAGS] config check [PATH]  say whether the configuration is right
  parca-agent [FLAGS] config print         print the configuration in force as TOML
  parca-agent --version                    print the version
  parca-agent --help                       print this text

Flags:
";

const NOTES: &str = "
--name VALUE is the same as --name=VALUE. A BOOL flag alone means true, and --no-name means false.
The file alone can hold [[relabel-configs]]: rules for targets, as in Prometheus.
A flag is also a variable, --log-level is PARCA_AGENT_LOG_LEVEL, and a key of the file, log-level.
A flag goes before a variable, a variable before the file, the file before the default.
Exit codes: 0 clean, 1 failure, 2 wrong command line, 77 missing privilege or kernel feature,
78 wrong configuration.
";

/// The help text.
pub(super) fn text() -> String {
    let defaults = Settings::of_config(Config::defaults("host name".into()));
    // These settings hold nothing that TOML cannot: a test reads every default from the text.
    let values = file::values(&defaults).unwrap_or_default();
    let mut text = USAGE.to_owned();
    for flag in flag::all().into_iter().filter(|flag| !flag.hidden) {
        let value = values.iter().find(|(key, _)| key == flag.name);
        let given = value.filter(|(_, value)| !value.is_empty() && value != "[]");
        let default = given.map_or("none", |(_, value)| value.as_str());
        let (name, value_name) = (flag.name, flag.value_name.to_ascii_uppercase());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  --{name}={value_name}");
        let _ = writeln!(text, "      {} (default: {default})", flag.description);
    }
    text + NOTES
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::cli::flag;

    #[test]
    fn the_text_is_the_golden_one() {
        assert_eq!(text(), include_str!("../../tests/golden/help.txt"));
    }

    #[test]
    fn the_text_fits_a_terminal() {
        for line in text().lines() {
            assert!(line.chars().count() <= 100 && !line.contains('\t'), "{line}");
        }
    }

    #[test]
    fn every_flag_that_is_not_hidden_is_told() {
        for flag in flag::all() {
            assert_eq!(text().contains(&format!("--{}=", flag.name)), !flag.hidden, "{}", flag.name);
        }
    }
}
