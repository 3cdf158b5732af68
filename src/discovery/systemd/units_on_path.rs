//! The units that a cgroup's path leads through, by their names alone. Pure.
//!
//! systemd makes one cgroup for each unit, below those of its slices: `/system.slice/nginx.service`. What is
//! below the cgroup of a unit belongs to whoever runs there and is named by them: of all such, only the units of
//! a user, below `user@UID.service`, are told. So a container cannot pass for a unit of the host by a cgroup
//! `nginx.service` of its own.

use super::unit::{UnitKind, UnitName};

/// Components of a path from its root to a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Depth(pub usize);

/// Whose unit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The service manager of the system.
    System,
    /// That of a user, who may give his units any name.
    User,
}

/// A unit on a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitOnPath {
    /// Its name.
    pub name: UnitName,
    /// Where it is.
    pub depth: Depth,
    /// Whose it is.
    pub owner: Owner,
}

/// The units that a process is in, as the path of its cgroup tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitsOnPath {
    /// Outermost first.
    pub units: Vec<UnitOnPath>,
}

/// Components that are looked at. A slice, which may be in slices, has one for each dash of its name.
const MAX_DEPTH: usize = 64;

impl UnitsOnPath {
    /// Reads a path. One that is relative to another cgroup namespace begins with `..`: then the names of some
    /// slices are not in it.
    pub fn parse(path: &[u8]) -> Self {
        let mut units = Vec::new();
        let mut owner = Owner::System;
        for (index, component) in components(path).take(MAX_DEPTH).enumerate() {
            if component == b".." && units.is_empty() {
                continue;
            }
            let Some(name) = UnitName::of_component(component) else { break };
            let (kind, opens_user) = (name.kind(), owner == Owner::System && name.is_user_manager());
            if !kind.has_processes() {
                break;
            }
            units.push(UnitOnPath { name, depth: Depth(index + 1), owner });
            if opens_user {
                owner = Owner::User;
            } else if kind != UnitKind::Slice {
                break;
            }
        }
        Self { units }
    }

    /// The innermost unit of a user.
    pub fn user_unit(&self) -> Option<&UnitName> {
        self.units.last().filter(|unit| unit.owner == Owner::User).map(|unit| &unit.name)
    }

    /// The service manager that runs the units of a user.
    pub fn user_manager(&self) -> Option<&UnitName> {
        self.units.iter().map(|unit| &unit.name).find(|name| name.is_user_manager())
    }
}

/// The slice right above a cgroup; `None` if it is in none but the root.
pub fn slice_above(path: &[u8], depth: Depth) -> Option<UnitName> {
    let above: Vec<_> = components(path).take(depth.0.checked_sub(1)?).collect();
    UnitName::of_component(above.last()?).filter(|name| name.kind() == UnitKind::Slice)
}

/// How deep a path leads.
pub fn depth(path: &[u8]) -> Depth {
    Depth(components(path).count())
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Depth, MAX_DEPTH, Owner, UnitsOnPath, slice_above};
    use crate::discovery::systemd::unit::UnitName;

    /// `NAME` for each unit of the system, `~NAME` for each of a user.
    fn found(path: &[u8]) -> String {
        let units = UnitsOnPath::parse(path).units;
        let mark = |owner| if owner == Owner::User { "~" } else { "" };
        units.iter().map(|unit| format!("{}{}", mark(unit.owner), unit.name)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn units_are_read_from_paths() {
        for (path, expected) in [
            ("/", ""),
            ("", ""),
            ("/init.scope", "init.scope"),
            ("/system.slice/nginx.service", "system.slice nginx.service"),
            ("/system.slice/nginx.service/worker/1", "system.slice nginx.service"),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                "system.slice system-getty.slice getty@tty1.service",
            ),
            (
                r"/system.slice/system-busy.slice/busy@a\x2db.service",
                r"system.slice system-busy.slice busy@a\x2db.service",
            ),
            ("/user.slice/user-1000.slice/session-3.scope", "user.slice user-1000.slice session-3.scope"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service",
                "user.slice user-1000.slice user@1000.service ~app.slice ~foo.service",
            ),
            (
                "/user.slice/user-0.slice/user@0.service/user.slice/libpod-A.scope/container/x.service",
                "user.slice user-0.slice user@0.service ~user.slice ~libpod-A.scope",
            ),
            (
                "/user.slice/user-0.slice/user@0.service/init.scope",
                "user.slice user-0.slice user@0.service ~init.scope",
            ),
            // Who runs a manager as a user may call a unit of his so: it opens no further manager.
            (
                "/user.slice/user@1.service/user@2.service/nginx.service",
                "user.slice user@1.service ~user@2.service",
            ),
            ("/machine.slice/machine-qemu.scope/libvirt/vcpu0", "machine.slice machine-qemu.scope"),
            ("/system.slice/_cpu.service", "system.slice cpu.service"),
            ("/system.slice/a.mount", "system.slice a.mount"),
            // Containers with a service manager of their own.
            ("/system.slice/docker-A.scope/system.slice/nginx.service", "system.slice docker-A.scope"),
            (
                "/machine.slice/systemd-nspawn@a.service/payload/system.slice/nginx.service",
                "machine.slice systemd-nspawn@a.service",
            ),
            (
                "/machine.slice/systemd-nspawn@a.service/nginx.service",
                "machine.slice systemd-nspawn@a.service",
            ),
            ("/docker/A/system.slice/nginx.service", ""),
            ("/lxc.payload.web/system.slice/nginx.service", ""),
            (
                "/system.slice/containerd.service/kubepods-podA.slice:cri-containerd:B",
                "system.slice containerd.service",
            ),
            (
                "/kubepods.slice/kubepods-podA.slice/cri-containerd-B.scope",
                "kubepods.slice kubepods-podA.slice cri-containerd-B.scope",
            ),
            // Another cgroup namespace.
            ("/../../system.slice/nginx.service", "system.slice nginx.service"),
            ("/../nginx.service", "nginx.service"),
            ("/../A/system.slice/nginx.service", ""),
            // Hostile.
            ("/system.slice/../nginx.service", "system.slice"),
            ("//system.slice///nginx.service/", "system.slice nginx.service"),
            ("/system.slice/a\nb.service", "system.slice"),
            ("/system.slice/nginx.service (deleted)", "system.slice"),
            ("/system.slice/a.target/nginx.service", "system.slice"),
            ("/system.slice/getty@.service", "system.slice"),
        ] {
            assert_eq!(found(path.as_bytes()), expected, "{path}");
        }
        assert_eq!(found(b"/system.slice/\xff.service"), "system.slice");
    }

    #[test]
    fn depth_is_counted_in_components() {
        let units = UnitsOnPath::parse(b"/../a.slice//b.service/c").units;
        assert_eq!(units.iter().map(|unit| unit.depth).collect::<Vec<_>>(), [Depth(2), Depth(3)]);
    }

    #[test]
    fn a_path_of_4_kib_is_read_to_its_bound() {
        let slices = UnitsOnPath::parse("/a.slice".repeat(512).as_bytes()).units;
        assert_eq!((slices.len(), slices.last().map(|unit| unit.depth)), (MAX_DEPTH, Some(Depth(MAX_DEPTH))));
        let long = format!("/{}.service", "a".repeat(4096 - 9));
        assert_eq!(found(long.as_bytes()), "");
    }

    #[test]
    fn the_slice_right_above() {
        for (path, depth, slice) in [
            ("/system.slice/a.service/b", 2, Some("system.slice")),
            ("/a.slice/a-b.slice", 2, Some("a.slice")),
            ("/x/app.slice/a.service", 3, Some("app.slice")),
            ("/x/a.service", 2, None),
            ("/init.scope", 1, None),
            ("/", 0, None),
        ] {
            let found = slice_above(path.as_bytes(), Depth(depth));
            assert_eq!(found.as_ref().map(UnitName::as_str), slice, "{path}");
        }
    }

    #[test]
    fn a_user_is_known_by_his_manager() {
        let units = UnitsOnPath::parse(b"/user.slice/user@7.service/app.slice/a.service");
        assert_eq!(units.user_manager().map(UnitName::as_str), Some("user@7.service"));
        assert_eq!(units.user_unit().map(UnitName::as_str), Some("a.service"));
        let units = UnitsOnPath::parse(b"/user.slice/user@7.service");
        assert_eq!(units.user_unit(), None);
    }
}
