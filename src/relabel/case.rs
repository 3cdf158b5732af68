//! Upper and lower case, letter by letter: the simple mappings of UnicodeData.txt, which Go's
//! `strings.ToUpper` and `strings.ToLower` follow. Rust's own follow SpecialCasing.txt, where ß is SS.

/// A text in upper case.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(|letter| single(letter.to_uppercase()).unwrap_or_else(|| simple_upper(letter))).collect()
}

/// A text in lower case.
pub(super) fn lower(text: &str) -> String {
    // U+0130 is the one letter whose full mapping is longer than its simple one.
    text.chars().map(|letter| single(letter.to_lowercase()).unwrap_or('i')).collect()
}

fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next()?;
    letters.next().is_none().then_some(first)
}

/// The simple mapping of a letter whose full one is longer: itself, but for the Greek letters with a small
/// iota below, which have a capital of their own.
fn simple_upper(letter: char) -> char {
    match letter {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(letter, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(letter, 9),
        _ => letter,
    }
}

fn shifted(letter: char, by: u32) -> char {
    char::from_u32(u32::from(letter) + by).unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::{lower, upper};

    #[test]
    fn case_is_changed_letter_by_letter() {
        for (text, lowered, uppered) in [
            ("", "", ""),
            ("aB-9", "ab-9", "AB-9"),
            ("Straße", "straße", "STRAßE"),
            ("ΟΔΟΣ", "οδοσ", "ΟΔΟΣ"),
            ("İı", "iı", "İI"),
            ("ŉ\u{fb01}", "ŉ\u{fb01}", "ŉ\u{fb01}"),
            ("ᾀᾗᾠᾳῃῳ", "ᾀᾗᾠᾳῃῳ", "ᾈᾟᾨᾼῌῼ"),
            ("ᾈ", "ᾀ", "ᾈ"),
            ("Ǆǅǆ", "ǆǆǆ", "ǄǄǄ"),
        ] {
            assert_eq!(lower(text), lowered, "{text}");
            assert_eq!(upper(text), uppered, "{text}");
        }
    }
}
