//! A writer of HTML in which text cannot become markup.
//!
//! Tags and attribute names are literals of this program; everything else is escaped where it is written.
//! Control characters, and those that turn the direction of writing, become visible: a name of a process
//! may hold any of them.

use std::fmt::Write;

/// A document, or a piece of one, in the making.
#[derive(Debug, Default)]
pub(super) struct Html(String);

/// Names and values of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Html {
    /// An empty document, declared to be HTML 5.
    pub(super) fn document() -> Self {
        Self("<!DOCTYPE html>\n".to_owned())
    }

    /// The markup.
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// An element with content.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.void(tag, attributes);
        content(self);
        // Writing to a String cannot fail, here and below.
        let _ = write!(self.0, "</{tag}>");
    }

    /// An element that holds text only.
    pub(super) fn labelled(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(tag, attributes, |html| html.text(text));
    }

    /// An element without content and end tag, such as `meta`.
    pub(super) fn void(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        let _ = write!(self.0, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.0, " {name}=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ if character.is_control() || turns_direction(character) => {
                    self.0.extend(character.escape_default());
                }
                _ => self.0.push(character),
            }
        }
    }
}

/// Whether a character changes the order in which its neighbours are shown, or is a line of its own
/// without being a control character.
fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::Html;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn foreign_text_stays_text() {
        let mut html = Html::default();
        html.element("a", &[("href", "\"><script>"), ("title", "it's")], |html| {
            html.text("<b>&\n\u{202e}\u{7f}");
        });
        assert_eq!(
            html.finish(),
            "<a href=\"&quot;&gt;&lt;script&gt;\" title=\"it&#39;s\">&lt;b&gt;&amp;\\n\\u{202e}\\u{7f}</a>"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_a_tag_or_ends_an_attribute(text in ".*") {
            let mut html = Html::default();
            html.text(&text);
            let markup = html.finish();
            prop_assert!(!markup.contains(['<', '>', '"', '\'']) && !markup.chars().any(char::is_control));
        }
    }
}
