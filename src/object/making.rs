//! How an object file was made, as far as it tells.

use std::fmt;

/// What is known of the making of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Making {
    /// Another name for the content; `None` if the file could not be read to its end.
    pub file_id: Option<FileId>,
    /// It has no program interpreter: as an executable it is linked statically.
    pub is_static: bool,
    /// It has no symbol table.
    pub is_stripped: bool,
    /// What compiled it.
    pub compiler: Option<Compiler>,
}

/// A hash of the ends of a file and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(pub [u8; 16]);

impl fmt::Display for FileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A compiler by name and version, such as `gcc 12.2.0`; at most [`Compiler::MAX_LENGTH`] bytes of ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compiler(Box<str>);

impl Compiler {
    /// Longest text, bytes.
    pub const MAX_LENGTH: usize = 32;

    /// The one that left a line in a `.comment` section: lines end in NUL. A file may have parts of several; the
    /// one that tells most of the file comes first in this order: rustc, clang, gcc. Startup files leave gcc's
    /// line in almost every file.
    pub fn of_comment(comment: &[u8]) -> Option<Self> {
        let lines = || comment.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
        let after = |mark: &str| lines().find_map(|line| Some(line.split_once(mark)?.1));
        let rustc = after("rustc version ").map(|rest| ("rustc", rest));
        let clang = || after("clang version ").map(|rest| ("clang", rest));
        let gcc = || {
            // `GCC: (Debian 12.2.0-14+deb12u1) 12.2.0`, `GCC: (GNU) 8.5.0 20210514 (Red Hat 8.5.0-4)`
            after("GCC: (").and_then(|rest| rest.split_once(") ")).map(|(_, rest)| ("gcc", rest))
        };
        let (name, rest) = rustc.or_else(clang).or_else(gcc)?;
        let version = rest.split_ascii_whitespace().next()?;
        Self::new(&format!("{name} {version}"))
    }

    /// The Go toolchain, which leaves no version where one could look without parsing more.
    pub fn go() -> Self {
        Self("go".into())
    }

    /// Takes text that is such a name; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b" .-+_~".contains(&byte);
        (!text.is_empty() && text.len() <= Self::MAX_LENGTH && text.bytes().all(fits))
            .then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Compiler;

    #[test]
    fn the_line_that_tells_most_counts() {
        for (comment, expected) in [
            ("GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0", Some("gcc 12.2.0")),
            ("GCC: (GNU) 8.5.0 20210514 (Red Hat 8.5.0-4)\0", Some("gcc 8.5.0")),
            ("GCC: (Ubuntu 9.4.0-1ubuntu1~20.04.1) 9.4.0\0", Some("gcc 9.4.0")),
            ("GCC: (Debian 12.2.0-14) 12.2.0\0Debian clang version 14.0.6\0", Some("clang 14.0.6")),
            (
                "GCC: (Debian 12.2.0-14) 12.2.0\0rustc version 1.95.0 (f2d3ce0bd 2026-03-21)\0",
                Some("rustc 1.95.0"),
            ),
            ("Linker: LLD 18.1.8\0", None),
            ("", None),
            ("rustc version \0", None),
            ("rustc version <script>\0", None),
        ] {
            let compiler = Compiler::of_comment(comment.as_bytes());
            assert_eq!(compiler.as_ref().map(Compiler::as_str), expected, "{comment:?}");
        }
        let long = format!("rustc version {}", "9".repeat(1000));
        assert_eq!(Compiler::of_comment(long.as_bytes()), None);
    }
}
