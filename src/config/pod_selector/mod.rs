//! Which pods are profiled: a selector of labels, in the syntax that Kubernetes' API takes.

mod parser;
mod requirement;

pub use requirement::{KeyFault, ValueFault};

use parser::Parser;
use std::fmt;
use std::str::FromStr;

/// Longest selector, bytes: it becomes part of a URL.
const MAX_LENGTH: usize = 4096;

/// Conditions on the labels of a pod, all of which it must meet. Without any, it selects every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSelector(String);

impl PodSelector {
    /// The selector in one form: conditions sorted by key, values sorted, no white space but around `in` and
    /// `notin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no selector, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad selector at position {position}: {reason}")]
pub struct PodSelectorError {
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
    /// Something else must stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// No label has this key.
    #[error("{given:?} is no key of a label: {fault}")]
    Key {
        /// What was written.
        given: String,
        /// Why.
        fault: KeyFault,
    },
    /// No label has this value.
    #[error("{given:?} is no value of a label: {fault}")]
    Value {
        /// What was written.
        given: String,
        /// Why.
        fault: ValueFault,
    },
    /// Cannot be compared.
    #[error("{given:?} is no whole number")]
    Number {
        /// What was written.
        given: String,
    },
}

impl FromStr for PodSelector {
    type Err = PodSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_LENGTH {
            return Err(PodSelectorError { position: 1, reason: Reason::TooLong });
        }
        let mut requirements = Parser::new(text).requirements().map_err(|(byte, reason)| {
            let before = text.get(..byte).unwrap_or(text);
            PodSelectorError { position: before.chars().count() + 1, reason }
        })?;
        requirements.sort();
        requirements.dedup();
        let texts: Vec<String> = requirements.iter().map(ToString::to_string).collect();
        Ok(Self(texts.join(",")))
    }
}

impl fmt::Display for PodSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{PodSelector, PodSelectorError};
    use proptest::prelude::*;

    #[test]
    fn a_selector_has_one_form() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            ("app=web", "app=web"),
            ("app==web", "app=web"),
            (" app = web ", "app=web"),
            ("app!=web", "app!=web"),
            ("app in (web)", "app in (web)"),
            ("app in (web, api)", "app in (api,web)"),
            ("app in(web,web)", "app in (web)"),
            ("app notin (web,api)", "app notin (api,web)"),
            ("app", "app"),
            ("!app", "!app"),
            ("! app", "!app"),
            ("b=1,a", "a,b=1"),
            ("a,a=1,a!=2,!a", "!a,a,a!=2,a=1"),
            ("a=1,a=1", "a=1"),
            ("a=", "a="),
            ("a=,b", "a=,b"),
            ("a!=", "a!="),
            ("a in ()", "a in ()"),
            ("a in (,)", "a in ()"),
            ("a in (,b)", "a in (,b)"),
            ("a in (b,)", "a in (,b)"),
            ("a in (in, notin)", "a in (in,notin)"),
            ("in in (in)", "in in (in)"),
            ("notin", "notin"),
            ("in=notin", "in=notin"),
            ("a>5", "a>5"),
            ("a < 10", "a<10"),
            ("app.kubernetes.io/name=web", "app.kubernetes.io/name=web"),
            ("a-b_c.D=E-f_g.H", "a-b_c.D=E-f_g.H"),
            ("a\t=\r\nb", "a=b"),
        ] {
            let selector: PodSelector = text.parse().unwrap();
            assert_eq!(selector.as_str(), expected, "{text}");
            assert_eq!(expected.parse(), Ok(selector), "{text}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        let name = "a name has at most 63 letters, digits and - _ . between letters or digits";
        let prefix = "the part before / is a DNS name of at most 253 small letters, digits and - .";
        let value = "at most 63 letters, digits and - _ . between letters or digits";
        for (text, position, reason) in [
            (",", 1, "expected a key".to_owned()),
            ("a,", 3, "expected a key".into()),
            ("a,,b", 3, "expected a key".into()),
            ("!", 2, "expected a key".into()),
            ("!!a", 2, "expected a key".into()),
            ("=a", 1, "expected a key".into()),
            ("(a)", 1, "expected a key".into()),
            ("a b", 3, "expected =, ==, !=, in, notin, <, > or ,".into()),
            ("a ! = b", 3, "expected =, ==, !=, in, notin, <, > or ,".into()),
            ("a=~b", 3, format!("\"~b\" is no value of a label: {value}")),
            ("a===b", 4, "expected a value".into()),
            ("a=b=c", 4, "expected , or the end".into()),
            ("a=b c", 5, "expected , or the end".into()),
            ("!a=b", 3, "expected , or the end".into()),
            ("a in", 5, "expected (".into()),
            ("a in b", 6, "expected (".into()),
            ("a in (b", 8, "expected , or )".into()),
            ("a in (b c)", 9, "expected , or )".into()),
            ("a in (b))", 9, "expected , or the end".into()),
            ("a in (b) c", 10, "expected , or the end".into()),
            ("é=b", 1, format!("\"é\" is no key of a label: {name}")),
            ("x,-a=b", 3, format!("\"-a\" is no key of a label: {name}")),
            ("a-=b", 1, format!("\"a-\" is no key of a label: {name}")),
            ("/a", 1, format!("\"/a\" is no key of a label: {prefix}")),
            ("A/a", 1, format!("\"A/a\" is no key of a label: {prefix}")),
            ("a..b/a", 1, format!("\"a..b/a\" is no key of a label: {prefix}")),
            ("a./a", 1, format!("\"a./a\" is no key of a label: {prefix}")),
            ("a/", 1, format!("\"a/\" is no key of a label: {name}")),
            ("a/b/c", 1, format!("\"a/b/c\" is no key of a label: {name}")),
            ("a=b/c", 3, format!("\"b/c\" is no value of a label: {value}")),
            ("ü in (a,_b)", 1, format!("\"ü\" is no key of a label: {name}")),
            ("u in (a,_b)", 9, format!("\"_b\" is no value of a label: {value}")),
            ("a>", 3, "\"\" is no whole number".into()),
            ("a>b", 3, "\"b\" is no whole number".into()),
            ("a<-1", 3, "\"-1\" is no whole number".into()),
            ("a<9223372036854775808", 3, "\"9223372036854775808\" is no whole number".into()),
        ] {
            let PodSelectorError { position: at, reason: why } = text.parse::<PodSelector>().unwrap_err();
            assert_eq!((at, why.to_string()), (position, reason), "{text}");
        }
    }

    #[test]
    fn lengths_are_those_of_kubernetes() {
        let is_good = |text: String| text.parse::<PodSelector>().is_ok();
        let part = "x".repeat(63);
        let prefix = [part.as_str(); 4].join(".")[..253].to_owned();
        assert!(is_good(part.clone()));
        assert!(!is_good(format!("{part}x")));
        assert!(is_good(format!("a={part}")));
        assert!(!is_good(format!("a={part}x")));
        assert!(is_good(format!("{prefix}/{part}")));
        assert!(!is_good(format!("{prefix}x/{part}")));
        assert!(is_good(format!("a{}", " ".repeat(4095))));
        assert!(!is_good(format!("a{}", " ".repeat(4096))));
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again(text in "([a-c]{1,2}|in|notin|[=!,()<> ]|1){0,12}") {
            if let Ok(selector) = text.parse::<PodSelector>() {
                prop_assert_eq!(selector.as_str().parse(), Ok(selector));
            }
        }

        #[test]
        fn no_text_breaks_the_parser(text in any::<String>()) {
            if let Err(error) = text.parse::<PodSelector>() {
                prop_assert!(!error.to_string().chars().any(char::is_control), "{:?}", error);
            }
        }
    }
}
