//! Words that stand for one thing among few, and hints for misspelt ones.

/// A word that is none of those it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {}", .known.join(", "))]
pub struct NotAmong {
    /// What was written.
    pub given: String,
    /// What may be written.
    pub known: Vec<&'static str>,
}

/// Finds what a word stands for.
pub fn choose<T: Copy>(given: &str, all: &[(&'static str, T)]) -> Result<T, NotAmong> {
    match all.iter().find(|(word, _)| *word == given) {
        Some((_, meaning)) => Ok(*meaning),
        None => Err(NotAmong { given: given.into(), known: all.iter().map(|(word, _)| *word).collect() }),
    }
}

/// Finds the word for a thing: the inverse of [`choose`]. Empty where the table lacks the thing.
pub fn word<T: Copy + PartialEq>(meaning: T, all: &[(&'static str, T)]) -> &'static str {
    all.iter().find(|(_, other)| *other == meaning).map_or("", |(word, _)| word)
}

/// Longest word that is compared, in bytes: no name is as long, and a comparison takes memory for each
/// pair of letters.
const MAX_COMPARED: usize = 64;

/// The known name that a misspelt one most likely means: at most a third of it is wrong, and at most
/// three letters.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > MAX_COMPARED {
        return None;
    }
    let allowed = (given.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// `, did you mean "NAME"?`, or nothing.
pub fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{choose, nearest, word};

    const TABLE: [(&str, u8); 2] = [("one", 1), ("two", 2)];

    #[test]
    fn words_and_meanings_are_inverse() {
        for (name, meaning) in TABLE {
            assert_eq!(choose(name, &TABLE), Ok(meaning));
            assert_eq!(word(meaning, &TABLE), name);
        }
        assert_eq!(choose("T\n", &TABLE).unwrap_err().to_string(), r#""T\n" is none of one, two"#);
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["node", "log-level", "log-format", "http-address"];
        for (given, expected) in [
            ("http-adress", Some("http-address")),
            ("log_level", Some("log-level")),
            ("ndoe", Some("node")),
            ("bearer-token", None),
            ("", None),
            ("x", None),
            (&"node".repeat(1 << 20), None),
        ] {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }
}
