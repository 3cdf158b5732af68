//! A Rust file as far as the house rules look into it: tokens with lines, without comments, the contents
//! of literals, and items under `#[cfg(test)]`.

use std::path::{Path, PathBuf};

/// One piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A name, keyword or number.
    Word(String),
    /// A single punctuation character.
    Mark(char),
}

/// A piece with the line it is on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) piece: Piece,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn is(&self, mark: char) -> bool {
        self.piece == Piece::Mark(mark)
    }

    pub(super) fn word(&self) -> Option<&str> {
        match &self.piece {
            Piece::Word(word) => Some(word),
            Piece::Mark(_) => None,
        }
    }
}

/// One Rust file.
pub(super) struct Source {
    /// Relative to the project.
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The tokens outside tests.
    pub(super) tokens: Vec<Token>,
    /// How many lines are outside tests.
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let (tokens, test_lines) = without_tests(tokens(text));
        let lines = text.lines().count().saturating_sub(test_lines);
        Self { path: path.to_owned(), text: text.to_owned(), tokens, lines }
    }

    /// Whether the whole file is a test or a helper of tests.
    pub(super) fn is_test(&self) -> bool {
        let mut folders = self.path.iter().filter_map(|part| part.to_str());
        folders.any(|part| ["tests", "tests.rs", "benches"].contains(&part))
    }
}

/// Cuts a text into tokens.
fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text, line: 1, tokens: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        let first = rest.chars().next().unwrap_or_default();
        if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(comment_length(rest));
        } else if let Some(length) = string_length(rest) {
            self.skip(length);
        } else if first == '\'' {
            self.skip(character_length(rest));
        } else if first.is_alphanumeric() || first == '_' {
            let word = |character: char| character.is_alphanumeric() || character == '_';
            let length = rest.find(|character| !word(character)).unwrap_or(rest.len());
            self.push(Piece::Word(rest[..length].to_owned()));
            self.skip(length);
        } else {
            if !first.is_whitespace() {
                self.push(Piece::Mark(first));
            }
            self.skip(first.len_utf8());
        }
    }

    fn push(&mut self, piece: Piece) {
        self.tokens.push(Token { piece, line: self.line });
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the block comment, with those inside it, that a text starts with.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of the string literal of any kind that a text starts with.
fn string_length(text: &str) -> Option<usize> {
    let prefix = text.find(|character: char| !"bcr".contains(character))?;
    let raw = text[..prefix].ends_with('r');
    if prefix > 2 {
        return None;
    }
    let hashes = if raw { text[prefix..].bytes().take_while(|&byte| byte == b'#').count() } else { 0 };
    let start = prefix + hashes;
    let body = text[start..].strip_prefix('"')?;
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(body.find(&end).map_or(text.len(), |at| start + 1 + at + end.len()));
    }
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(start + 1 + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of the character literal that a text starts with, or of the quote that begins a lifetime.
fn character_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            // Whatever is escaped, a quote too, is part of the literal.
            characters.next();
            characters.find(|&(_, character)| character == '\'').map_or(text.len(), |(at, _)| at + 1)
        }
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// Removes items under `#[cfg(test)]`; also counts their lines.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, usize) {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut lines = 0;
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            let end = item_end(&tokens, at);
            let last = tokens.get(end - 1).map_or(tokens[at].line, |token| token.line);
            lines += last - tokens[at].line + 1;
            at = end;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, lines)
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let text: String =
        tokens.iter().take(7).map(|token| token.word().map_or_else(|| mark(token), str::to_owned)).collect();
    text == "#[cfg(test)]"
}

fn mark(token: &Token) -> String {
    match token.piece {
        Piece::Mark(mark) => mark.to_string(),
        Piece::Word(_) => String::new(),
    }
}

/// Where the item that starts at `at` with its attributes ends: after its block, or its semicolon.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.piece {
            Piece::Mark('{' | '[' | '(') => depth += 1,
            Piece::Mark('}' | ']' | ')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.is('}') {
                    return index + 1;
                }
            }
            Piece::Mark(';') if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let source = Source::new(Path::new("src/a.rs"), text);
        source.tokens.iter().filter_map(|token| token.word().map(str::to_owned)).collect()
    }

    #[test]
    fn comments_and_the_contents_of_literals_are_no_code() {
        let cases = [
            ("a // b\nc", vec!["a", "c"]),
            ("a /* b /* c */ d */ e", vec!["a", "e"]),
            (r#"a "b \" c" d"#, vec!["a", "d"]),
            (r##"a r#"b " c"# d"##, vec!["a", "d"]),
            (r#"a b"c" cr"d" e"#, vec!["a", "e"]),
            (r"a 'b' '\'' '\u{41}' c", vec!["a", "c"]),
            ("fn a<'b>(c: &'b str)", vec!["fn", "a", "b", "c", "b", "str"]),
            ("broken crate", vec!["broken", "crate"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn tests_are_left_out_and_not_counted() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nuse c::d;\nfn e() {}\n";
        assert_eq!(words(text), ["fn", "a", "fn", "e"]);
        assert_eq!(Source::new(Path::new("src/a.rs"), text).lines, 2);
    }

    #[test]
    fn a_token_knows_its_line() {
        let source = Source::new(Path::new("src/a.rs"), "a\n\"b\n\"\n/*\n*/ c");
        let lines: Vec<usize> = source.tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 5]);
    }

    #[test]
    fn a_file_in_a_folder_of_tests_is_a_test() {
        for (path, expected) in [("tests/a.rs", true), ("src/a/tests.rs", true), ("src/a.rs", false)] {
            assert_eq!(Source::new(Path::new(path), "").is_test(), expected, "{path}");
        }
    }
}
