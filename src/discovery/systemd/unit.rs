//! Names of units, systemd.unit(5). Pure.

use std::fmt;

/// Bytes of the longest name: `UNIT_NAME_MAX` of systemd's `src/basic/unit-def.h`, without its NUL.
const MAX_NAME: usize = 255;

/// The name of a unit that can run: valid, and no template that waits for an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitName(Box<str>);

/// What a unit is, as the suffix of its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitKind {
    /// Processes that systemd starts.
    Service,
    /// Processes that others start and hand over, such as a session or a container.
    Scope,
    /// A folder of units.
    Slice,
    /// A socket; its cgroup holds the commands around it.
    Socket,
    /// A mount point; its cgroup holds mount(8).
    Mount,
    /// Swap space; its cgroup holds swapon(8).
    Swap,
    /// A kind without a cgroup: automount, device, path, target or timer.
    Other,
}

impl UnitKind {
    const SUFFIXES: [(&str, Self); 11] = [
        (".service", Self::Service),
        (".scope", Self::Scope),
        (".slice", Self::Slice),
        (".socket", Self::Socket),
        (".mount", Self::Mount),
        (".swap", Self::Swap),
        (".automount", Self::Other),
        (".device", Self::Other),
        (".path", Self::Other),
        (".target", Self::Other),
        (".timer", Self::Other),
    ];

    /// The kind of what has such a name.
    fn of(name: &str) -> Option<(&str, Self)> {
        Self::SUFFIXES.iter().find_map(|(suffix, kind)| Some((name.strip_suffix(suffix)?, *kind)))
    }

    /// Whether processes can be in such a unit.
    pub fn has_processes(self) -> bool {
        self != Self::Other
    }
}

impl UnitName {
    /// Takes a valid name, by the rules of systemd's `unit_name_is_valid()`.
    pub fn new(name: &str) -> Option<Self> {
        let (stem, _) = UnitKind::of(name)?;
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let is_template = stem.ends_with('@') && stem.matches('@').count() == 1;
        let fits = name.len() <= MAX_NAME && !stem.is_empty() && !stem.starts_with('@') && !is_template;
        (fits && stem.bytes().all(is_valid)).then(|| Self(name.into()))
    }

    /// The unit that a component of a cgroup's path stands for. systemd puts `_` before a name that the kernel
    /// might take for a file of its own, such as `cpu.service`, and before one that begins with `_`.
    pub fn of_component(component: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(component).ok()?;
        Self::new(name.strip_prefix('_').unwrap_or(name))
    }

    /// The name as systemd writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is.
    pub fn kind(&self) -> UnitKind {
        UnitKind::of(&self.0).map_or(UnitKind::Other, |(_, kind)| kind)
    }

    /// Whether it runs the units of a user: `user@UID.service`.
    pub fn is_user_manager(&self) -> bool {
        let user = self.0.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
        user.is_some_and(|user| !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME, UnitKind, UnitName};

    #[test]
    fn a_name_is_valid_or_none() {
        let longest = format!("{}.service", "a".repeat(MAX_NAME - 8));
        for (name, kind) in [
            ("nginx.service", Some(UnitKind::Service)),
            ("getty@tty1.service", Some(UnitKind::Service)),
            (r"busy@a\x2db.service", Some(UnitKind::Service)),
            ("a@b@c.service", Some(UnitKind::Service)),
            ("dbus-:1.2-org.freedesktop.hostname1@0.service", Some(UnitKind::Service)),
            ("session-3.scope", Some(UnitKind::Scope)),
            ("-.slice", Some(UnitKind::Slice)),
            ("-.mount", Some(UnitKind::Mount)),
            ("multi-user.target", Some(UnitKind::Other)),
            ("_.service", Some(UnitKind::Service)),
            (&longest, Some(UnitKind::Service)),
            (&format!("a{longest}"), None),
            ("nginx", None),
            ("nginx.Service", None),
            ("nginx.service.d", None),
            (".service", None),
            ("getty@.service", None),
            ("@tty1.service", None),
            ("a b.service", None),
            ("a/b.service", None),
            ("a\n.service", None),
            ("ü.service", None),
            ("", None),
        ] {
            assert_eq!(UnitName::new(name).map(|name| name.kind()), kind, "{name}");
        }
    }

    #[test]
    fn a_component_may_be_escaped_from_the_kernel() {
        for (component, name) in [
            ("cron.service", Some("cron.service")),
            ("_cpu.service", Some("cpu.service")),
            ("__x.service", Some("_x.service")),
            ("_", None),
        ] {
            let found = UnitName::of_component(component.as_bytes());
            assert_eq!(found.as_ref().map(UnitName::as_str), name, "{component}");
        }
        assert_eq!(UnitName::of_component(b"\xff.service"), None);
    }

    #[test]
    fn only_a_number_names_a_user() {
        for (name, is_one) in [
            ("user@1000.service", true),
            ("user@.service", false),
            ("user@root.service", false),
            ("user-runtime-dir@1000.service", false),
        ] {
            let manager = UnitName::new(name).is_some_and(|name| name.is_user_manager());
            assert_eq!(manager, is_one, "{name}");
        }
    }
}
