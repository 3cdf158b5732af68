//! One line of the log: a record as logfmt or JSON, that no value can break out of.

use super::{Format, timestamp::Timestamp};
use ::log::kv::{Error, Key, Value, VisitSource, VisitValue};
use std::fmt::{self, Write};

/// Bytes of one message or value that are written at most; the rest of it is cut off. Longer than any
/// path (4096 bytes), short enough that a hostile name cannot fill a disk.
const MAX_VALUE_BYTES: usize = 8192;

/// Renders a record, with its line feed.
pub(super) fn render(format: Format, time: Timestamp, record: &::log::Record<'_>) -> String {
    let mut line = Line { format, text: String::with_capacity(160) };
    let level = match record.level() {
        ::log::Level::Error => "error",
        ::log::Level::Warn => "warn",
        ::log::Level::Info => "info",
        ::log::Level::Debug => "debug",
        ::log::Level::Trace => "trace",
    };
    line.string("ts", &time.to_string());
    line.string("level", level);
    match record.args().as_str() {
        Some(message) => line.message(message),
        None => line.message(&record.args().to_string()),
    }
    // The visitor of this file returns no error, and a value that cannot show itself is left out.
    let _ = record.key_values().visit(&mut line);
    line.text.push_str(if format == Format::Json { "}\n" } else { "\n" });
    line.text
}

struct Line {
    format: Format,
    text: String,
}

impl Line {
    fn key(&mut self, key: &str) {
        let separator = match (self.format, self.text.is_empty()) {
            (Format::Json, true) => "{",
            (Format::Json, false) => ",",
            (Format::Logfmt, true) => "",
            (Format::Logfmt, false) => " ",
        };
        self.text.push_str(separator);
        let quote = if self.format == Format::Json { "\"" } else { "" };
        self.text.push_str(quote);
        let name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
        self.text.extend(key.chars().map(|letter| if name(letter) { letter } else { '_' }));
        self.text.push_str(quote);
        self.text.push(if self.format == Format::Json { ':' } else { '=' });
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        if self.format == Format::Logfmt && is_bare(value) {
            self.text.push_str(value);
        } else {
            quote(&mut self.text, value);
        }
    }

    /// The message is quoted always: it looks the same with one word and with many.
    fn message(&mut self, message: &str) {
        self.key("msg");
        quote(&mut self.text, message);
    }

    /// A number or a truth value, which needs no quotes in either format.
    fn literal(&mut self, key: &str, value: impl fmt::Display) {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
    }
}

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        value.visit(Field { line: self, key: key.as_str() })
    }
}

struct Field<'a> {
    line: &'a mut Line,
    key: &'a str,
}

impl VisitValue<'_> for Field<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.line.string(self.key, &value.to_string());
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.line.string(self.key, value);
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.line.literal(self.key, value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.line.literal(self.key, value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        if value.is_finite() {
            self.line.literal(self.key, value);
        } else {
            // JSON has no word for these.
            self.line.string(self.key, &value.to_string());
        }
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.line.literal(self.key, value);
        Ok(())
    }
}

fn is_bare(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_VALUE_BYTES
        && !value.chars().any(|letter| {
            letter.is_whitespace() || matches!(letter, '"' | '\\' | '=') || changes_display(letter)
        })
}

/// Quotes a value with the escapes that JSON and logfmt readers share.
fn quote(text: &mut String, value: &str) {
    let end = value.floor_char_boundary(MAX_VALUE_BYTES);
    text.push('"');
    for letter in value[..end].chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            letter if changes_display(letter) => {
                // All of these are below U+10000, so four digits hold them.
                let _ = write!(text, "\\u{:04x}", u32::from(letter));
            }
            letter => text.push(letter),
        }
    }
    text.push_str(if end < value.len() { "...\"" } else { "\"" });
}

/// Whether a character moves the cursor, starts a terminal sequence, ends a line or turns the direction
/// of the text around it: with these a value could show itself as another line.
fn changes_display(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{Format, MAX_VALUE_BYTES, Timestamp, quote, render};
    use ::log::{Level, Record};
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    fn line(format: Format, message: &str, values: &[(&str, ::log::kv::Value<'_>)]) -> String {
        render(
            format,
            Timestamp::from(UNIX_EPOCH),
            &Record::builder().level(Level::Warn).args(format_args!("{message}")).key_values(&values).build(),
        )
    }

    #[test]
    fn logfmt_quotes_what_needs_quotes() {
        for (value, expected) in [
            ("plain", "plain"),
            ("/usr/bin/a-b_c.so", "/usr/bin/a-b_c.so"),
            ("naïve", "naïve"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a=b", r#""a=b""#),
            (r#"say "x""#, r#""say \"x\"""#),
            (r"back\slash", r#""back\\slash""#),
            ("a\nlevel=info msg=forged", r#""a\nlevel=info msg=forged""#),
            ("\x1b[31m\r\t\0", r#""\u001b[31m\r\t\u0000""#),
            ("\u{9b}31m", r#""\u009b31m""#),
            ("\u{202e}gpj.exe\u{2028}", r#""\u202egpj.exe\u2028""#),
            ("\u{7f}", r#""\u007f""#),
        ] {
            assert_eq!(
                line(Format::Logfmt, "m", &[("key", value.into())]),
                format!("ts=1970-01-01T00:00:00.000Z level=warn msg=\"m\" key={expected}\n")
            );
        }
    }

    #[test]
    fn numbers_and_truth_values_are_not_strings() {
        let values = [
            ("count", 3u64.into()),
            ("change", (-3i64).into()),
            ("ratio", 0.5.into()),
            ("none", f64::NAN.into()),
            ("ready", true.into()),
        ];
        assert_eq!(
            line(Format::Json, "two words", &values),
            "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\"msg\":\"two words\",\
             \"count\":3,\"change\":-3,\"ratio\":0.5,\"none\":\"NaN\",\"ready\":true}\n"
        );
    }

    #[test]
    fn a_key_cannot_hold_a_separator() {
        let text = line(Format::Logfmt, "m", &[("a b=\"c\n", 1u64.into())]);
        assert!(text.ends_with("msg=\"m\" a_b__c_=1\n"), "{text}");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut text = String::new();
        quote(&mut text, &"é".repeat(MAX_VALUE_BYTES));
        assert_eq!(text, format!("\"{}...\"", "é".repeat(MAX_VALUE_BYTES / 2)));
    }

    proptest! {
        #[test]
        fn json_gives_back_what_was_logged(message: String, value: String) {
            let text = line(Format::Json, &message, &[("value", value.as_str().into())]);
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(parsed["msg"].as_str(), Some(message.as_str()));
            prop_assert_eq!(parsed["value"].as_str(), Some(value.as_str()));
        }

        #[test]
        fn a_record_is_one_line_without_control_characters(message: String, value: String) {
            for format in [Format::Json, Format::Logfmt] {
                let text = line(format, &message, &[("value", value.as_str().into())]);
                let body = text.strip_suffix('\n').unwrap();
                prop_assert!(!body.chars().any(char::is_control), "{:?}", body);
            }
        }
    }
}
