//! Flags from the environment: `PARCA_AGENT_LOG_LEVEL` is `--log-level`.

use super::settings::Settings;
use super::{Error, Warning, flag, parse};
use crate::choice;
use crate::config::labels::ExternalLabels;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// What the name of each variable begins with.
const PREFIX: &str = "PARCA_AGENT_";

/// The token of the store, by the name that earlier agents gave it.
const TOKEN: &str = "PARCA_BEARER_TOKEN";

/// Reads every variable that is a flag; the others that look like one are warned of.
pub(super) fn read(variables: &[(OsString, OsString)]) -> Result<(Settings, Vec<Warning>), Error> {
    let mut settings = Settings::default();
    let mut labels = ExternalLabels::default();
    let mut warnings = Vec::new();
    let mut sorted: Vec<_> = variables.iter().collect();
    // The system gives them in any order; the first fault told shall always be the same.
    sorted.sort();
    for (name, value) in sorted {
        let known = if name.to_str() == Some(TOKEN) { Some("BEARER_TOKEN") } else { None };
        let suffix = known.or_else(|| name.to_str()?.strip_prefix(PREFIX));
        let Some(suffix) = suffix else { continue };
        let written = suffix.to_ascii_lowercase().replace('_', "-");
        let is_upper = !suffix.bytes().any(|byte| byte.is_ascii_lowercase());
        let Some(flag) = flag::find(&written).filter(|_| is_upper) else {
            if !is_service_link(suffix) {
                warnings.push(Warning::UnknownVariable {
                    variable: name.to_string_lossy().escape_debug().to_string(),
                    nearest: choice::nearest(&written, flag::names()).map(variable),
                });
            }
            continue;
        };
        let fault =
            |reason: String| Error::Variable { variable: name.to_string_lossy().into_owned(), reason };
        let text = value
            .to_str()
            .ok_or_else(|| fault(format!("\"{}\" is not UTF-8 text", value.as_bytes().escape_ascii())))?;
        let mut given =
            parse::settings(&[(flag.name, text.to_owned())], &[]).map_err(|error| fault(error.reason()))?;
        for part in given.external_label.drain(..) {
            labels.extend(&part).map_err(|error| fault(error.to_string()))?;
        }
        settings = settings.or(given);
    }
    if labels != ExternalLabels::default() {
        settings.external_label.push(labels);
    }
    Ok((settings, warnings))
}

fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// Whether Kubernetes made the variable, for a service whose name begins with `parca-agent`: it gives
/// `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`, `NAME_PORT` and `NAME_PORT_...` to every container.
fn is_service_link(suffix: &str) -> bool {
    let name = format!("_{suffix}_");
    name.contains("_SERVICE_") || name.contains("_PORT_")
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::log::Level;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn variables_are_flags() {
        let (settings, warnings) = read(&variables(&[
            ("PARCA_AGENT_LOG_LEVEL", "debug"),
            ("PARCA_AGENT_THREAD_LABELS", "false"),
            ("PARCA_AGENT_EXTERNAL_LABEL", "a=1"),
            ("PARCA_AGENT_METADATA_EXTERNAL_LABELS", "b=2"),
            ("PATH", "/bin"),
        ]))
        .unwrap();
        assert_eq!(settings.log_level, Some(Level::Debug));
        assert_eq!(settings.thread_labels, Some(false));
        let labels: Vec<_> = settings.external_label.iter().map(|set| set.get().to_string()).collect();
        assert_eq!(labels, [r#"{a="1",b="2"}"#]);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn an_unknown_variable_is_warned_of_and_a_service_link_is_not() {
        let (_, warnings) = read(&variables(&[
            ("PARCA_AGENT_LOGLEVEL", "debug"),
            ("PARCA_AGENT_node", "a"),
            ("PARCA_AGENT_", "a"),
            ("PARCA_AGENT_SERVICE_HOST", "10.0.0.1"),
            ("PARCA_AGENT_SERVICE_PORT_HTTP", "7071"),
            ("PARCA_AGENT_PORT", "tcp://10.0.0.1:7071"),
            ("PARCA_AGENT_PORT_7071_TCP_ADDR", "10.0.0.1"),
            ("PARCA_AGENT_UI_SERVICE_HOST", "10.0.0.1"),
        ]))
        .unwrap();
        let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"unknown variable "PARCA_AGENT_""#,
                r#"unknown variable "PARCA_AGENT_LOGLEVEL", did you mean "PARCA_AGENT_LOG_LEVEL"?"#,
                r#"unknown variable "PARCA_AGENT_node", did you mean "PARCA_AGENT_NODE"?"#,
            ]
        );
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (name, value, expected) in [
            (
                "PARCA_AGENT_NODE",
                "",
                r#"PARCA_AGENT_NODE: "" is no node name: 1 to 253 bytes, no control characters"#,
            ),
            (
                "PARCA_AGENT_LOG_LEVEL",
                "loud",
                r#"PARCA_AGENT_LOG_LEVEL: "loud" is none of error, warn, info, debug"#,
            ),
            ("PARCA_AGENT_THREAD_LABELS", "1", r#"PARCA_AGENT_THREAD_LABELS: "1" is neither true nor false"#),
            (
                "PARCA_AGENT_METADATA_EXTERNAL_LABELS",
                "a",
                r#"PARCA_AGENT_METADATA_EXTERNAL_LABELS: "a" is no label: write NAME=VALUE;NAME=VALUE"#,
            ),
        ] {
            assert_eq!(read(&variables(&[(name, value)])).unwrap_err().to_string(), expected);
        }
        let twice = [("PARCA_AGENT_EXTERNAL_LABEL", "a=1"), ("PARCA_AGENT_METADATA_EXTERNAL_LABELS", "a=1")];
        assert_eq!(
            read(&variables(&twice)).unwrap_err().to_string(),
            r#"PARCA_AGENT_METADATA_EXTERNAL_LABELS: label "a" is given twice"#
        );
        let broken = [("PARCA_AGENT_NODE".into(), OsString::from_vec(b"a\xff".to_vec()))];
        assert_eq!(read(&broken).unwrap_err().to_string(), r#"PARCA_AGENT_NODE: "a\xff" is not UTF-8 text"#);
    }
}
