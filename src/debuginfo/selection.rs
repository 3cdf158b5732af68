//! Which files may be sent, by their path. Pure.

use crate::glob::Glob;

/// What the operator allows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    allow: Vec<Glob>,
    deny: Vec<Glob>,
}

impl Selection {
    /// With patterns of whole paths. Without any that allows, everything is allowed that none denies.
    pub fn new<'a>(
        allow: impl IntoIterator<Item = &'a str>,
        deny: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let parse = |patterns: &mut dyn Iterator<Item = &'a str>| patterns.map(Glob::parse).collect();
        Self { allow: parse(&mut allow.into_iter()), deny: parse(&mut deny.into_iter()) }
    }

    /// Whether a file may be sent that processes map by this path, also after it was deleted. Bytes that are no UTF-8 are
    /// one letter each.
    pub fn allows(&self, path: &[u8]) -> bool {
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let path = String::from_utf8_lossy(path);
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&path));
        (self.allow.is_empty() || matches(&self.allow)) && !matches(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use super::Selection;

    #[test]
    fn what_is_denied_is_not_allowed_by_anything() {
        for (allow, deny, path, expected) in [
            ("", "", &b"/usr/bin/a"[..], true),
            ("", "/opt/*", b"/opt/a/b", false),
            ("", "/opt/*", b"/usr/opt/a", true),
            ("/opt/*", "", b"/opt/a", true),
            ("/opt/*", "", b"/usr/bin/a", false),
            ("/opt/* *.so", "", b"/usr/lib/x.so", true),
            ("/opt/*", "/opt/secret/*", b"/opt/secret/a", false),
            ("/opt/*", "*", b"/opt/a", false),
            ("/opt/?", "", b"/opt/\xff", true),
            ("/opt/a", "", b"/opt/a (deleted)", true),
            ("", "*.so", b"/opt/a.so (deleted)", false),
        ] {
            let selection = Selection::new(allow.split_whitespace(), deny.split_whitespace());
            assert_eq!(selection.allows(path), expected, "{allow:?} {deny:?} {path:?}");
        }
    }
}
