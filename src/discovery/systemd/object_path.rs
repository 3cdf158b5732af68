//! Paths of the objects that stand for units on the bus, as sd_bus_path_encode(3) makes them. Pure.

use super::unit::UnitName;

/// Above the object of every unit.
pub(super) const UNITS: &str = "/org/freedesktop/systemd1/unit";

/// The object of a unit. What is no letter, and no digit after the first place, becomes `_NN` in hexadecimal.
pub(super) fn of_unit(name: &UnitName) -> String {
    let mut path = format!("{UNITS}/");
    for (index, byte) in name.as_str().bytes().enumerate() {
        if byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit() {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The unit of an object.
pub(super) fn unit(path: &str) -> Option<UnitName> {
    let mut rest = path.strip_prefix(UNITS)?.strip_prefix('/')?.as_bytes();
    let mut name = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'_' {
            let (digits, tail) = tail.split_at_checked(2)?;
            name.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            name.push(*first);
        }
    }
    UnitName::new(std::str::from_utf8(&name).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{UnitName, of_unit, unit};

    #[test]
    fn names_and_paths_are_each_others() {
        for (name, last) in [
            ("ssh.service", "ssh_2eservice"),
            (r"busy@a\x2db.service", "busy_40a_5cx2db_2eservice"),
            ("0ad.service", "_30ad_2eservice"),
            ("a0_.scope", "a0_5f_2escope"),
            ("-.slice", "_2d_2eslice"),
        ] {
            let path = format!("/org/freedesktop/systemd1/unit/{last}");
            assert_eq!(of_unit(&UnitName::new(name).unwrap()), path);
            assert_eq!(unit(&path).unwrap().as_str(), name);
        }
    }

    #[test]
    fn other_objects_are_no_units() {
        for path in [
            "/",
            "/org/freedesktop/systemd1",
            "/org/freedesktop/systemd1/unit/",
            "/org/freedesktop/systemd1/unit/_",
            "/org/freedesktop/systemd1/unit/a_2",
            "/org/freedesktop/systemd1/unit/a_+2service",
            "/org/freedesktop/systemd1/unit/a_zzservice",
            "/org/freedesktop/systemd1/unit/a_ffservice",
            "/org/freedesktop/systemd1/job/1",
        ] {
            assert_eq!(unit(path), None, "{path}");
        }
    }
}
