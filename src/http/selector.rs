//! Selectors: `name{a="b",c=~"d.*"}`, as Prometheus writes them, and whether a label set matches one.

use crate::label::{LabelSet, escape_value, is_label_name};
use regex_lite::{Regex, RegexBuilder};
use std::fmt;

/// Longest selector, bytes.
const MAX_LENGTH: usize = 4096;
/// Most matchers of one selector.
const MAX_MATCHERS: usize = 32;
/// Largest compiled form of one expression, bytes. Matching takes time linear in the text for any
/// expression; its size is the other factor.
const MAX_REGEX_SIZE: usize = 256 * 1024;
/// Deepest nesting of one expression.
const MAX_REGEX_NESTING: u32 = 32;

/// Conditions that a label set must all meet. Without any, it matches everything.
#[derive(Clone, Debug)]
pub struct Selector(Vec<Matcher>);

#[derive(Clone, Debug)]
struct Matcher {
    name: String,
    value: String,
    condition: Condition,
}

/// How the value of a label is compared. A label that is not set has the empty value.
#[derive(Clone, Debug)]
enum Condition {
    Equal,
    NotEqual,
    Match(Regex),
    NotMatch(Regex),
}

/// Why a text is no selector, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad selector at position {position}: {reason}")]
pub struct SelectorError {
    /// The first character is 1.
    pub position: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Longer than 4 KiB.
    #[error("longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// More than 32 matchers.
    #[error("more than {MAX_MATCHERS} matchers")]
    TooManyMatchers,
    /// Something else must stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A quoted value without its second quote on the same line.
    #[error("the quoted value has no end")]
    OpenQuote,
    /// A backslash sequence that no string has.
    #[error("unknown escape sequence")]
    BadEscape,
    /// The bytes that the escapes stand for are no text.
    #[error("the quoted value is not UTF-8")]
    NotUtf8,
    /// The regular expression was refused.
    #[error("bad regular expression: {0}")]
    BadRegex(String),
}

impl Selector {
    /// Reads a selector.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, position: 0, matchers: Vec::new() };
        match parser.selector() {
            Ok(()) => Ok(Self(parser.matchers)),
            Err((byte, reason)) => {
                let before = text.get(..byte).unwrap_or(text);
                Err(SelectorError { position: before.chars().count() + 1, reason })
            }
        }
    }

    /// Whether a label set meets every condition.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|matcher| {
            let value = labels.get(&matcher.name).unwrap_or_default();
            match &matcher.condition {
                Condition::Equal => value == matcher.value,
                Condition::NotEqual => value != matcher.value,
                Condition::Match(regex) => regex.is_match(value),
                Condition::NotMatch(regex) => !regex.is_match(value),
            }
        })
    }

    /// Whether it has no condition, and so stands for the whole host.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (index, Matcher { name, value, condition }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let operator = match condition {
                Condition::Equal => "=",
                Condition::NotEqual => "!=",
                Condition::Match(_) => "=~",
                Condition::NotMatch(_) => "!~",
            };
            write!(formatter, "{comma}{name}{operator}\"{}\"", escape_value(value))?;
        }
        formatter.write_str("}")
    }
}

/// A reason and the byte it was found at.
type Fault = (usize, Reason);

struct Parser<'a> {
    text: &'a str,
    position: usize,
    matchers: Vec<Matcher>,
}

impl<'a> Parser<'a> {
    fn selector(&mut self) -> Result<(), Fault> {
        if self.text.len() > MAX_LENGTH {
            return Err((0, Reason::TooLong));
        }
        self.skip_space();
        let name = self.metric_name();
        if !name.is_empty() {
            let (name, value) = ("__name__".to_owned(), name.to_owned());
            self.matchers.push(Matcher { name, value, condition: Condition::Equal });
        }
        self.skip_space();
        if self.take("{") {
            self.matchers_until_brace()?;
        } else if name.is_empty() {
            return Err(self.expected("`{` or a metric name"));
        }
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("the end")) }
    }

    fn matchers_until_brace(&mut self) -> Result<(), Fault> {
        loop {
            self.skip_space();
            if self.take("}") {
                return Ok(());
            }
            if self.matchers.len() >= MAX_MATCHERS {
                return Err((self.position, Reason::TooManyMatchers));
            }
            let matcher = self.matcher()?;
            self.matchers.push(matcher);
            self.skip_space();
            if !self.take(",") && !self.rest().starts_with('}') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, Fault> {
        let start = self.position;
        let name = self.take_while(|character| character == '_' || character.is_ascii_alphanumeric());
        if !is_label_name(name) {
            self.position = start;
            return Err(self.expected("a label name"));
        }
        self.skip_space();
        // The longer operators first: `=` begins `=~`.
        let Some(operator) = ["=~", "!~", "!=", "="].into_iter().find(|operator| self.take(operator)) else {
            return Err(self.expected("`=`, `!=`, `=~` or `!~`"));
        };
        self.skip_space();
        let start = self.position;
        let value = self.quoted()?;
        let compile = || anchored(&value).map_err(|reason| (start, reason));
        let condition = match operator {
            "=~" => Condition::Match(compile()?),
            "!~" => Condition::NotMatch(compile()?),
            "!=" => Condition::NotEqual,
            _ => Condition::Equal,
        };
        Ok(Matcher { name: name.to_owned(), value, condition })
    }

    /// A string of double quotes, single quotes, or back quotes, which know no escapes.
    fn quoted(&mut self) -> Result<String, Fault> {
        let start = self.position;
        let Some(quote) = ['"', '\'', '`'].into_iter().find(|quote| self.rest().starts_with(*quote)) else {
            return Err(self.expected("a quoted value"));
        };
        self.position += 1;
        let mut value = Vec::new();
        loop {
            let at = self.position;
            let Some(character) = self.next() else {
                return Err((start, Reason::OpenQuote));
            };
            match character {
                _ if character == quote => break,
                '\n' if quote != '`' => return Err((start, Reason::OpenQuote)),
                '\\' if quote != '`' => self.escape(quote, &mut value).ok_or((at, Reason::BadEscape))?,
                _ => value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(value).map_err(|_| (start, Reason::NotUtf8))
    }

    /// What follows a backslash, as in Go's string literals.
    fn escape(&mut self, quote: char, value: &mut Vec<u8>) -> Option<()> {
        let simple = match self.next()? {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            character if character == quote => u8::try_from(quote).ok()?,
            'x' => u8::try_from(self.digits(2, 16)?).ok()?,
            '0'..='7' => {
                self.position -= 1;
                u8::try_from(self.digits(3, 8)?).ok()?
            }
            long @ ('u' | 'U') => {
                let code = self.digits(if long == 'u' { 4 } else { 8 }, 16)?;
                value.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        };
        value.push(simple);
        Some(())
    }

    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |number, _| {
            number.checked_mul(radix)?.checked_add(self.next()?.to_digit(radix)?)
        })
    }

    fn metric_name(&mut self) -> &'a str {
        if self.rest().starts_with(|first: char| first.is_ascii_digit()) {
            return "";
        }
        self.take_while(|character| matches!(character, '_' | ':') || character.is_ascii_alphanumeric())
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.position += character.len_utf8();
        Some(character)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.position += if found { token.len() } else { 0 };
        found
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(|character| !belongs(character)).map_or(rest, |end| &rest[..end]);
        self.position += taken.len();
        taken
    }

    fn skip_space(&mut self) {
        self.take_while(|character| matches!(character, ' ' | '\t' | '\n' | '\r'));
    }

    fn expected(&self, what: &'static str) -> Fault {
        (self.position, Reason::Expected(what))
    }
}

/// An expression that must match the whole value; its dot matches line feeds too, so that `.*` matches
/// every value.
fn anchored(pattern: &str) -> Result<Regex, Reason> {
    let compile = |pattern: &str| {
        RegexBuilder::new(pattern)
            .dot_matches_new_line(true)
            .size_limit(MAX_REGEX_SIZE)
            .nest_limit(MAX_REGEX_NESTING)
            .build()
            .map_err(|error| Reason::BadRegex(error.to_string()))
    };
    // Alone first: `a)|(?:b` is only well formed inside the group, and would not be anchored there.
    compile(pattern)?;
    compile(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::{Reason, Selector};
    use crate::label::LabelSet;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    fn labels() -> LabelSet {
        [("__name__", "cpu"), ("comm", "a\"b\\c\nd"), ("node", "n1")].into_iter().collect()
    }

    #[test]
    fn a_selector_matches_when_every_matcher_does() {
        for (text, expected) in [
            ("{}", true),
            ("  { } ", true),
            ("cpu", true),
            ("cpu{}", true),
            ("memory{}", false),
            (r#"{node="n1"}"#, true),
            (r#"{node="n1",}"#, true),
            (r#"cpu { node = "n1" , comm != "x" }"#, true),
            (r#"{node="n1",comm="x"}"#, false),
            (r#"{comm="x",node="n1"}"#, false),
            (r#"{node!="n1"}"#, false),
            (r#"{node=~"n."}"#, true),
            (r#"{node=~"n"}"#, false),
            (r#"{node=~"x|n1"}"#, true),
            (r#"{node!~"n.*"}"#, false),
            (r#"{node!~"n"}"#, true),
            (r#"{comm=~".*"}"#, true),
            (r#"{comm="a\"b\\c\nd"}"#, true),
            (r#"{comm='a"b\\c\nd'}"#, true),
            ("{comm=`x`}", false),
            (r#"{node="\x6e\u0031"}"#, true),
            (r#"{node="\1561"}"#, true),
            (r#"{absent=""}"#, true),
            (r#"{absent=~".*"}"#, true),
            (r#"{absent!=""}"#, false),
            (r#"{absent=~".+"}"#, false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().matches(&labels()), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        for (text, position, reason) in [
            ("", 1, Reason::Expected("`{` or a metric name")),
            ("9a", 1, Reason::Expected("`{` or a metric name")),
            ("{", 2, Reason::Expected("a label name")),
            ("{} x", 4, Reason::Expected("the end")),
            (r#"{9a="b"}"#, 2, Reason::Expected("a label name")),
            (r#"{,}"#, 2, Reason::Expected("a label name")),
            (r#"{a}"#, 3, Reason::Expected("`=`, `!=`, `=~` or `!~`")),
            (r#"{a=="b"}"#, 4, Reason::Expected("a quoted value")),
            (r#"{a="b" c="d"}"#, 8, Reason::Expected("`,` or `}`")),
            (r#"{a="é",b"#, 9, Reason::Expected("`=`, `!=`, `=~` or `!~`")),
            (r#"{a="b}"#, 4, Reason::OpenQuote),
            ("{a=\"b\n\"}", 4, Reason::OpenQuote),
            (r#"{a="b\q"}"#, 6, Reason::BadEscape),
            (r#"{a="\xff"}"#, 4, Reason::NotUtf8),
        ] {
            let error = Selector::parse(text).unwrap_err();
            assert_eq!((error.position, error.reason), (position, reason), "{text}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let matchers = |count: usize| format!("{{{}}}", vec![r#"a="b""#; count].join(","));
        assert!(Selector::parse(&matchers(32)).is_ok());
        assert_eq!(Selector::parse(&matchers(33)).unwrap_err().reason, Reason::TooManyMatchers);
        let long = format!("{{a=\"{}\"}}", "x".repeat(4096));
        assert_eq!(Selector::parse(&long).unwrap_err().reason, Reason::TooLong);
    }

    #[test]
    fn expressions_that_are_broken_large_or_break_out_are_refused() {
        for pattern in ["(", "a)|(?:b", "(?:x{1000}){1000}", &"(".repeat(40), "*"] {
            let error = Selector::parse(&format!("{{a=~\"{pattern}\"}}")).unwrap_err();
            assert_eq!(error.position, 5, "{pattern}");
            assert!(matches!(error.reason, Reason::BadRegex(_)), "{pattern}: {error}");
        }
    }

    #[test]
    fn an_expression_prone_to_backtracking_answers_at_once() {
        let selector = Selector::parse(r#"{a=~"(x+x+)+y"}"#).unwrap();
        let hostile: LabelSet = [("a", "x".repeat(2000))].into_iter().collect();
        let start = std::time::Instant::now();
        assert!(!selector.matches(&hostile));
        assert!(start.elapsed().as_secs() < 2);
    }

    fn any_labels() -> impl Strategy<Value = LabelSet> {
        proptest::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,8}", any::<String>(), 0..6)
            .prop_map(|labels| labels.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_text_of_any_label_set_selects_it(labels in any_labels()) {
            let selector = Selector::parse(&labels.to_string()).unwrap();
            prop_assert!(selector.matches(&labels));
            prop_assert_eq!(selector.to_string(), labels.to_string());
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,64}", noise in r#"[{}a=~!"'`\\,x0-9 ]{0,24}"#) {
            let _ = Selector::parse(&text);
            let _ = Selector::parse(&noise);
        }
    }
}
