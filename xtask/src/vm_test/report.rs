//! What the script in the virtual machine sent over its console.

use std::collections::BTreeMap;

/// Every line of the script's begins so.
const MARK: &str = "vm-test: ";

/// What arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// The kernel's own name for itself.
    pub(super) release: Option<String>,
    /// Files by name, as the script names them: `OBJECT.WHAT`.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Exit status of the agent by object.
    pub(super) statuses: BTreeMap<String, i32>,
    /// What the script could not do.
    pub(super) failed: Vec<String>,
    /// Whether the script came to its end.
    pub(super) done: bool,
}

impl Report {
    /// Reads a console. What the firmware and the kernel say between the script's lines is passed over.
    pub(super) fn read(console: &[u8]) -> Self {
        let mut report = Self::default();
        let mut file: Option<(String, String)> = None;
        for line in String::from_utf8_lossy(console).lines() {
            // The firmware leaves control sequences before the first line, which has no line end then.
            let Some(at) = line.find(MARK) else {
                if let Some((_, text)) = &mut file {
                    text.push_str(line.trim());
                }
                continue;
            };
            let mut words = line[at + MARK.len()..].split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("release"), Some(release), _) => report.release = Some(release.to_owned()),
                (Some("file"), Some(name), _) => file = Some((name.to_owned(), String::new())),
                (Some("end"), ..) => report.take(file.take()),
                (Some("status"), Some(object), Some(status)) => {
                    report.statuses.extend(status.parse().map(|status| (object.to_owned(), status)));
                }
                (Some("failed"), Some(what), _) => report.failed.push(what.to_owned()),
                (Some("done"), ..) => report.done = true,
                _ => {}
            }
        }
        report
    }

    fn take(&mut self, file: Option<(String, String)>) {
        let Some((name, text)) = file else { return };
        match decode_base64(&text) {
            Some(contents) => drop(self.files.insert(name, contents)),
            None => self.failed.push(format!("{name}: garbled on the console")),
        }
    }
}

/// RFC 4648 section 4, padding included, without line ends. `None` if it is anything else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let text = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_read_between_what_others_say_on_it() {
        let console = b"SeaBIOS\r\n\x1b[2Jvm-test: release 5.10.0-32-cloud-amd64\r\n\
            vm-test: file modern.chain\r\naGVs\r\nbG8=\r\nvm-test: end\r\n\
            vm-test: failed modern.syscalls\r\nvm-test: status modern 0\r\n[    1.0] kernel: hello\r\n\
            vm-test: file modern.log\r\n[ 1.0] kernel\r\nvm-test: end\r\nvm-test: done\r\n\xff\xfe";
        let expected = Report {
            release: Some("5.10.0-32-cloud-amd64".to_owned()),
            files: [("modern.chain".to_owned(), b"hello".to_vec())].into(),
            statuses: [("modern".to_owned(), 0)].into(),
            failed: vec!["modern.syscalls".to_owned(), "modern.log: garbled on the console".to_owned()],
            done: true,
        };
        assert_eq!(Report::read(console), expected);
    }

    #[test]
    fn a_console_that_breaks_off_gives_what_came_whole() {
        let report = Report::read(b"vm-test: file modern.chain\naGVs\n");
        assert_eq!(report, Report::default());
    }

    #[test]
    fn base64_is_read_as_the_standard_says() {
        let cases: [(&str, Option<&[u8]>); 9] = [
            ("", Some(b"")),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("+/8=", Some(b"\xfb\xff")),
            ("Zm9", None),
            ("Zm 9", None),
            ("=Zm9", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode_base64(text).as_deref(), expected, "{text}");
        }
    }
}
