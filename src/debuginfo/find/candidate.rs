//! Where the debug file of an executable may be, in the order in which it is looked for.

use crate::debuginfo::plan::DebugLink;
use crate::object::build_id::{BuildId, BuildIdKind};

/// Most places that are looked at for one executable. What is more, of very many directories, is not looked at.
pub const MAX_CANDIDATES: usize = 64;

/// Where debug files are in a root.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The root of the process that ran the executable.
    Target,
    /// The host's root.
    Host,
    /// One of the directories that were named to the agent, by its position.
    Directory(usize),
}

/// What led to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// The build id.
    ByBuildId,
    /// `.gnu_debuglink`.
    ByLink,
}

/// A file that may be the debug file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where the path begins.
    pub place: Place,
    /// From there, without `.` and `..`.
    pub path: Vec<u8>,
    /// What led to it.
    pub named: Named,
}

/// What is known of the executable.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// By what it is known.
    pub build_id: &'a BuildId,
    /// As the process mapped it.
    pub path: &'a [u8],
    /// The file that it names itself.
    pub link: Option<&'a DebugLink>,
}

/// The places there are.
#[derive(Clone, Copy, Debug)]
pub struct Searched {
    /// The process's root is to be had.
    pub target: bool,
    /// The host's root is to be had, and another than the process's.
    pub host: bool,
    /// How many directories were named.
    pub directories: usize,
}

/// The candidates in order. On the host, a path of another root means nothing: there, files are only looked for where
/// debug files are, and not beside whatever has the executable's path.
pub fn candidates(sought: Sought<'_>, searched: Searched) -> Vec<Candidate> {
    let trees = trees(sought.build_id);
    let link = sought.link.zip(folder_of(sought.path));
    let by_link = link.as_ref().map(|(link, folder)| (&*link.name, &**folder));
    let mut candidates = Vec::new();
    if searched.target {
        add(&mut candidates, Place::Target, Named::ByBuildId, in_debug_folder(&trees));
        add(&mut candidates, Place::Target, Named::ByLink, by_link.into_iter().flat_map(beside));
        add(&mut candidates, Place::Target, Named::ByLink, by_link.map(in_debug_tree));
    }
    if searched.host {
        add(&mut candidates, Place::Host, Named::ByBuildId, in_debug_folder(&trees));
        add(&mut candidates, Place::Host, Named::ByLink, by_link.map(in_debug_tree));
    }
    for place in (0..searched.directories).take(MAX_CANDIDATES).map(Place::Directory) {
        add(&mut candidates, place, Named::ByBuildId, trees.iter().map(|path| path.clone().into_bytes()));
        add(&mut candidates, place, Named::ByLink, by_link.into_iter().flat_map(below));
    }
    candidates.truncate(MAX_CANDIDATES);
    candidates
}

fn add(
    candidates: &mut Vec<Candidate>,
    place: Place,
    named: Named,
    paths: impl IntoIterator<Item = Vec<u8>>,
) {
    candidates.extend(paths.into_iter().map(|path| Candidate { place, path, named }));
}

/// Where a build id leads in a folder of debug files. Only GNU build ids have trees.
fn trees(build_id: &BuildId) -> Vec<String> {
    let text = build_id.to_string();
    match text.split_at_checked(2) {
        Some((first, rest)) if build_id.kind == BuildIdKind::Gnu && !rest.is_empty() => {
            vec![format!("/.build-id/{first}/{rest}.debug"), format!("/{text}/debuginfo")]
        }
        _ => Vec::new(),
    }
}

fn in_debug_folder(trees: &[String]) -> impl Iterator<Item = Vec<u8>> {
    trees.iter().map(|path| format!("{DEBUG_FOLDER}{path}").into_bytes())
}

/// `DIR/NAME` and `DIR/.debug/NAME`.
fn beside((name, folder): (&[u8], &[u8])) -> [Vec<u8>; 2] {
    [[folder, b"/", name].concat(), [folder, b"/.debug/", name].concat()]
}

/// `/usr/lib/debug/DIR/NAME`.
fn in_debug_tree((name, folder): (&[u8], &[u8])) -> Vec<u8> {
    [DEBUG_FOLDER.as_bytes(), folder, b"/", name].concat()
}

/// `DIR/NAME` and `NAME`, which are the same for an executable in its root.
fn below((name, folder): (&[u8], &[u8])) -> impl Iterator<Item = Vec<u8>> {
    let with_folder = (!folder.is_empty()).then(|| [folder, b"/", name].concat());
    with_folder.into_iter().chain([[b"/", name].concat()])
}

/// The folder of an absolute path, empty for the root. A `..` takes away what is before it, so that no folder leads
/// out of what it is put below.
fn folder_of(path: &[u8]) -> Option<Vec<u8>> {
    let end = path.iter().rposition(|byte| *byte == b'/').filter(|_| path.starts_with(b"/"))?;
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.get(..end).unwrap_or_default().split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    Some(names.iter().flat_map(|name| [b"/", *name]).flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::{MAX_CANDIDATES, Named, Place, Searched, Sought, candidates};
    use crate::debuginfo::plan::DebugLink;
    use crate::object::build_id::{BuildId, BuildIdKind};

    const EVERYWHERE: Searched = Searched { target: true, host: true, directories: 1 };

    fn gnu(bytes: &[u8]) -> BuildId {
        BuildId { kind: BuildIdKind::Gnu, bytes: bytes.into() }
    }

    /// Each candidate as a line: where, by what, and the path.
    fn lines(
        build_id: &BuildId,
        path: &str,
        link: Option<&str>,
        searched: Searched,
    ) -> Vec<(char, char, String)> {
        let link = link.map(|name| DebugLink::new(name.as_bytes(), 1).unwrap());
        let sought = Sought { build_id, path: path.as_bytes(), link: link.as_ref() };
        let line = |place, named, path| {
            let place = match place {
                Place::Target => 'T',
                Place::Host => 'H',
                Place::Directory(position) => char::from_digit(position as u32, 36).unwrap(),
            };
            let named = match named {
                Named::ByBuildId => 'b',
                Named::ByLink => 'l',
            };
            (place, named, String::from_utf8(path).unwrap())
        };
        let found = candidates(sought, searched);
        found.into_iter().map(|each| line(each.place, each.named, each.path)).collect()
    }

    fn owned(expected: &[(char, char, &str)]) -> Vec<(char, char, String)> {
        expected.iter().map(|(place, named, path)| (*place, *named, (*path).to_owned())).collect()
    }

    #[test]
    fn the_target_goes_before_the_host_and_build_ids_before_links() {
        let found = lines(&gnu(b"\xab\xcd\xef\x01"), "/usr/bin/cat", Some("cat.debug"), EVERYWHERE);
        let expected = [
            ('T', 'b', "/usr/lib/debug/.build-id/ab/cdef01.debug"),
            ('T', 'b', "/usr/lib/debug/abcdef01/debuginfo"),
            ('T', 'l', "/usr/bin/cat.debug"),
            ('T', 'l', "/usr/bin/.debug/cat.debug"),
            ('T', 'l', "/usr/lib/debug/usr/bin/cat.debug"),
            ('H', 'b', "/usr/lib/debug/.build-id/ab/cdef01.debug"),
            ('H', 'b', "/usr/lib/debug/abcdef01/debuginfo"),
            ('H', 'l', "/usr/lib/debug/usr/bin/cat.debug"),
            ('0', 'b', "/.build-id/ab/cdef01.debug"),
            ('0', 'b', "/abcdef01/debuginfo"),
            ('0', 'l', "/usr/bin/cat.debug"),
            ('0', 'l', "/cat.debug"),
        ];
        assert_eq!(found, owned(&expected));
    }

    #[test]
    fn what_is_not_known_is_not_looked_for() {
        let id = gnu(b"\xab\xcd");
        let nowhere = Searched { target: false, host: false, directories: 0 };
        let target = Searched { target: true, ..nowhere };
        let host = Searched { host: true, ..nowhere };
        let tree =
            [('T', 'b', "/usr/lib/debug/.build-id/ab/cd.debug"), ('T', 'b', "/usr/lib/debug/abcd/debuginfo")];
        assert_eq!(lines(&id, "/a/b", None, target), owned(&tree), "no link");
        assert_eq!(lines(&id, "a/b", Some("d"), target), owned(&tree), "not a path");
        assert_eq!(lines(&id, "", Some("d"), target), owned(&tree), "no path");
        assert_eq!(lines(&id, "/a/b", Some("d"), nowhere), []);
        for kind in [BuildIdKind::Go, BuildIdKind::Hash] {
            let id = BuildId { kind, ..id.clone() };
            let expected = owned(&[('H', 'l', "/usr/lib/debug/a/d")]);
            assert_eq!(lines(&id, "/a/b", Some("d"), host), expected, "{kind:?}");
        }
        assert_eq!(lines(&gnu(b"\xab"), "/a/b", None, target), [], "an id of one byte");
    }

    #[test]
    fn no_path_leads_out_of_where_it_begins() {
        let id = BuildId { kind: BuildIdKind::Hash, bytes: b"x".as_slice().into() };
        let searched = Searched { target: false, host: false, directories: 1 };
        for (path, expected) in [
            ("/../../etc/x", "/etc/n"),
            ("/a/../../../etc/x", "/etc/n"),
            ("/a/./b//c/x", "/a/b/c/n"),
            ("/a/..b/x", "/a/..b/n"),
        ] {
            let expected = owned(&[('0', 'l', expected), ('0', 'l', "/n")]);
            assert_eq!(lines(&id, path, Some("n"), searched), expected, "{path}");
        }
        for path in ["/x", "/..", "/../x"] {
            assert_eq!(lines(&id, path, Some("n"), searched), owned(&[('0', 'l', "/n")]), "{path}");
        }
    }

    #[test]
    fn candidates_are_bounded_however_many_directories_there_are() {
        let searched = Searched { directories: 1_000_000, ..EVERYWHERE };
        let id = gnu(b"\xab\xcd");
        let sought = Sought { build_id: &id, path: b"/a", link: None };
        let found = candidates(sought, searched);
        assert_eq!(found.len(), MAX_CANDIDATES);
        assert_eq!(found.last().unwrap().place, Place::Directory((MAX_CANDIDATES - 4) / 2 - 1));
    }
}
