//! Percent encoding: of what a link carries, and of what a form sends.

use std::fmt::Write;

/// Encodes text for use as a value in the query part of a URL.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Decodes one name or value of `application/x-www-form-urlencoded`. `None` for a percent sign without
/// two digits, and for bytes that are not UTF-8.
pub(super) fn decode_form(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => (hexadecimal(bytes.next()?)? << 4) | hexadecimal(bytes.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode_form, encode};
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn forms_decode_or_are_refused() {
        for (text, expected) in [
            ("a+b%20c", Some("a b c")),
            ("%7Ba%3d%22b%22%7d", Some("{a=\"b\"}")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_form(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_a_link(text in ".*") {
            let encoded = encode(&text);
            prop_assert_eq!(encoded.bytes().all(|byte| byte.is_ascii_graphic()), true);
            prop_assert_eq!(decode_form(&encoded), Some(text));
        }
    }
}
