//! What comes from elsewhere as text: errors, and bytes of foreign origin; names of threads, paths and cgroups are bytes to the kernel.

use std::error::Error;
use std::fmt;

/// Writes bytes as text; what is not UTF-8 becomes `\xNN`, so that different names stay different.
pub fn display(bytes: &[u8]) -> impl fmt::Display + '_ {
    Text(bytes)
}

/// An error and its causes on one line. A cause that an error names itself is not said twice.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            formatter.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(formatter, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn invalid_bytes_stay_distinct() {
        assert_eq!(super::display("naïve\n".as_bytes()).to_string(), "naïve\n");
        assert_eq!(super::display(b"a\xff\xfeb").to_string(), r"a\xff\xfeb");
    }
}
