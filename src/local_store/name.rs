//! Names of profiles' files: `TARGET_TIME.pb.gz`. Pure.

use crate::label::LabelSet;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

/// What the files end with. What does not is left alone.
const SUFFIX: &str = ".pb.gz";
/// Longest readable part, bytes: a file system takes 255 in all.
const MAX_READABLE: usize = 120;
/// Labels that tell targets apart for people, in the order in which they are written.
const READABLE: [&str; 6] = ["namespace", "pod", "container", "systemd_unit", "cgroup", "comm"];

/// The name of the file with the profile of a target in a window that began then.
pub(super) fn of(labels: &LabelSet, start: SystemTime) -> String {
    let mut readable = String::new();
    for value in READABLE.into_iter().filter_map(|name| labels.get(name)) {
        let plain = value.trim_matches('/').chars().map(|letter| if is_plain(letter) { letter } else { '-' });
        readable.extend(plain.chain(['_']));
    }
    readable.truncate(MAX_READABLE);
    // No two targets share a file, whatever the readable part leaves out.
    let digest = Sha256::digest(labels.to_string());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let separator = if readable.is_empty() || readable.ends_with('_') { "" } else { "_" };
    format!("{readable}{separator}{digest}_{}{SUFFIX}", since_epoch(start).as_millis())
}

/// When the window of a file began; `None` if it is none of ours.
pub(super) fn start(name: &str) -> Option<SystemTime> {
    let (before, millis) = name.strip_suffix(SUFFIX)?.rsplit_once('_')?;
    let digest = before.rsplit('_').next()?;
    let is_ours = digest.len() == 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let millis = millis.parse().ok().filter(|_| is_ours)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ".-".contains(letter)
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{of, start};
    use crate::label::LabelSet;
    use std::time::{Duration, SystemTime};

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_name_tells_the_target_and_the_time() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<LabelSet>();
        for (pairs, readable) in [
            (
                vec![("comm", "nginx"), ("cgroup", "/system.slice/web server.service")],
                "system.slice-web-server.service_nginx_",
            ),
            (vec![("namespace", "shop"), ("pod", "api-0"), ("container", "api")], "shop_api-0_api_"),
            (vec![("comm", "../../etc/passwd\0\n")], "..-..-etc-passwd--_"),
            (vec![("node", "n")], ""),
        ] {
            let name = of(&labels(&pairs), at(1_700_000_000_123));
            assert!(name.starts_with(readable) && name.ends_with("_1700000000123.pb.gz"), "{name}");
            assert_eq!(name.len(), readable.len() + "01234567_1700000000123.pb.gz".len(), "{name}");
            assert_eq!(start(&name), Some(at(1_700_000_000_123)));
        }
        let long = of(&labels(&[("comm", &"é".repeat(500))]), at(1));
        assert!(long.len() < 200 && start(&long) == Some(at(1)), "{long}");
    }

    #[test]
    fn targets_that_look_alike_have_files_of_their_own() {
        let name = |value: &str| of(&[("comm", value)].into_iter().collect(), at(0));
        assert_ne!(name("a b"), name("a-b"));
    }

    #[test]
    fn what_others_put_there_is_none_of_ours() {
        for name in [
            "",
            "notes.txt",
            "a.pb.gz",
            "a_1.pb.gz",
            "a_0123456_1.pb.gz",
            "a_0123456g_1.pb.gz",
            "a_01234567_x.pb.gz",
        ] {
            assert_eq!(start(name), None, "{name}");
        }
    }
}
