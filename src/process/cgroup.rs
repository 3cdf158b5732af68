//! Which cgroup a process is in: `/proc/PID/cgroup`, cgroups(7).

/// The kernel's id of a cgroup v2; that of the root where only cgroup v1 is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupId(pub u64);

/// Path of a cgroup below the root of its hierarchy, bytes as the kernel gave them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupPath(pub Box<[u8]>);

impl CgroupPath {
    /// The root of every hierarchy.
    pub fn root() -> Self {
        Self(b"/".as_slice().into())
    }

    /// The most telling path in the text of `/proc/PID/cgroup`; `None` if there is none.
    ///
    /// A process is in one cgroup of each hierarchy. The unified hierarchy (v2) is the manager's own, then
    /// comes systemd's named v1 hierarchy; where both say only `/`, the longest path of any controller
    /// tells most.
    pub fn parse(text: &[u8]) -> Option<Self> {
        text.split(|byte| *byte == b'\n')
            .filter_map(parse_line)
            .max_by_key(|(hierarchy, path)| (path != b"/", *hierarchy, path.len()))
            .map(|(_, path)| Self(path.into()))
    }
}

/// Kinds of hierarchy, the more telling the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hierarchy {
    Controller,
    Systemd,
    Unified,
}

/// `ID:CONTROLLERS:PATH`; a path may hold colons.
fn parse_line(line: &[u8]) -> Option<(Hierarchy, &[u8])> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let id = fields.next()?;
    let controllers = fields.next()?;
    let path = fields.next().filter(|path| !path.is_empty())?;
    let hierarchy = match (id, controllers) {
        (b"0", b"") => Hierarchy::Unified,
        (_, b"name=systemd") => Hierarchy::Systemd,
        _ => Hierarchy::Controller,
    };
    Some((hierarchy, path))
}

#[cfg(test)]
mod tests {
    use super::CgroupPath;

    #[test]
    fn the_most_telling_hierarchy_wins() {
        for (name, text, expected) in [
            ("unified only", "0::/system.slice/ssh.service\n", Some("/system.slice/ssh.service")),
            ("hybrid", "4:memory:/m\n1:name=systemd:/user.slice\n0::/init.scope\n", Some("/init.scope")),
            ("v1 with systemd", "4:memory:/docker/abcdef\n1:name=systemd:/a.service\n0::/\n", Some("/a.service")),
            ("v1 without systemd", "9:name=systemd:/\n5:cpu:/x\n4:memory:/process/abc\n0::/\n", Some("/process/abc")),
            ("root", "1:cpu:/\n0::/\n", Some("/")),
            ("colons in a path", "0::/a:b:c\n", Some("/a:b:c")),
            ("namespace", "0::/../../x\n", Some("/../../x")),
            ("nothing", "", None),
            ("garbage", "no fields\n::\n", None),
        ] {
            let path = CgroupPath::parse(text.as_bytes());
            assert_eq!(path.as_ref().map(|path| &*path.0), expected.map(str::as_bytes), "{name}");
        }
    }
}
