//! The text of a selector to its conditions.

use super::Reason;
use super::requirement::{Condition, Requirement, check_key, check_value};
use std::collections::BTreeSet;

/// A reason and the byte it was found at.
type Fault = (usize, Reason);

pub(super) struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// Conditions with commas between them; none at all is fine, a comma at the end is not.
    pub(super) fn requirements(mut self) -> Result<Vec<Requirement>, Fault> {
        let mut requirements = Vec::new();
        self.skip_space();
        while !self.rest().is_empty() {
            requirements.push(self.requirement()?);
            self.skip_space();
            if self.take(",") {
                self.skip_space();
                if self.rest().is_empty() {
                    return Err(self.expected("a key"));
                }
            } else if !self.rest().is_empty() {
                return Err(self.expected(", or the end"));
            }
        }
        Ok(requirements)
    }

    fn requirement(&mut self) -> Result<Requirement, Fault> {
        let is_negated = self.take("!");
        let key = self.key()?;
        self.skip_space();
        let is_alone = self.rest().is_empty() || self.rest().starts_with(',');
        let condition = match (is_negated, is_alone) {
            (true, _) => Condition::NotThere,
            (false, true) => Condition::There,
            (false, false) => self.condition()?,
        };
        Ok(Requirement { key, condition })
    }

    fn key(&mut self) -> Result<String, Fault> {
        self.skip_space();
        let start = self.position;
        let key = self.word();
        if key.is_empty() {
            return Err(self.expected("a key"));
        }
        check_key(key).map_err(|fault| (start, Reason::Key { given: key.into(), fault }))?;
        Ok(key.into())
    }

    fn condition(&mut self) -> Result<Condition, Fault> {
        // The longer operators first: `=` begins `==`.
        if let Some(operator) = ["==", "=", "!=", "<", ">"].into_iter().find(|operator| self.take(operator)) {
            return Ok(match operator {
                "!=" => Condition::NotEqual(self.exact_value()?),
                "<" => Condition::Less(self.number()?),
                ">" => Condition::Greater(self.number()?),
                _ => Condition::Equal(self.exact_value()?),
            });
        }
        let start = self.position;
        match self.word() {
            "in" => Ok(Condition::In(self.values()?)),
            "notin" => Ok(Condition::NotIn(self.values()?)),
            _ => {
                self.position = start;
                Err(self.expected("=, ==, !=, in, notin, <, > or ,"))
            }
        }
    }

    /// A value behind an operator; it may be empty before a comma and at the end.
    fn exact_value(&mut self) -> Result<String, Fault> {
        let value = self.value()?;
        if value.is_empty() && !self.rest().is_empty() && !self.rest().starts_with(',') {
            return Err(self.expected("a value"));
        }
        Ok(value)
    }

    /// Values in parentheses; each may be empty.
    fn values(&mut self) -> Result<BTreeSet<String>, Fault> {
        self.skip_space();
        if !self.take("(") {
            return Err(self.expected("("));
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.value()?);
            self.skip_space();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.expected(", or )"));
            }
        }
    }

    fn value(&mut self) -> Result<String, Fault> {
        self.skip_space();
        let start = self.position;
        let value = self.word();
        check_value(value).map_err(|fault| (start, Reason::Value { given: value.into(), fault }))?;
        Ok(value.into())
    }

    /// No sign: a value of a label cannot begin with one.
    fn number(&mut self) -> Result<i64, Fault> {
        self.skip_space();
        let start = self.position;
        let word = self.word();
        let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.parse().ok().filter(|_| is_plain);
        number.ok_or_else(|| (start, Reason::Number { given: word.into() }))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.position += if found { token.len() } else { 0 };
        found
    }

    /// All up to white space or a sign with a meaning.
    fn word(&mut self) -> &'a str {
        self.take_while(|letter| !is_space(letter) && !"=!(),<>".contains(letter))
    }

    fn skip_space(&mut self) {
        self.take_while(is_space);
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(|letter| !belongs(letter)).map_or(rest, |end| &rest[..end]);
        self.position += taken.len();
        taken
    }

    fn expected(&self, what: &'static str) -> Fault {
        (self.position, Reason::Expected(what))
    }
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}
