//! The best file of an executable, among those that others put in the way.

use super::extracted::{PATIENCE, supervisor};
use super::fuse::Fuse;
use super::separate::{Separate, in_tree, put};
use super::target::{PROGRAM, Target};
use parca_agent::debuginfo::find::candidate::{Named, Place};
use parca_agent::debuginfo::find::crc::MAX_SIZE;
use parca_agent::debuginfo::find::quality::Quality;
use parca_agent::debuginfo::find::refusal::Refusal;
use parca_agent::debuginfo::find::{Finder, Found, NotFound, Origin};
use parca_agent::debuginfo::plan::DebugLink;
use parca_agent::metrics::{Format, Registry};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;

fn finder(directories: &[&Path]) -> Finder {
    let directories = directories.iter().map(|path| path.to_path_buf()).collect();
    Finder::new(Arc::new(supervisor()), directories)
}

fn find(finder: &Finder, target: &Target) -> Result<Found, NotFound> {
    finder.find(&target.wanted(&supervisor()))
}

/// Fails unless a file was found because of its debug information.
fn assert_found(result: Result<Found, NotFound>, origin: Origin, path: &Path) {
    let found = result.unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let file = File::from(found.file.try_clone().unwrap());
    assert_eq!(file.metadata().unwrap().ino(), fs::metadata(path).unwrap().ino(), "{}", path.display());
    assert_eq!((found.origin, found.quality()), (origin, Quality::Dwarf), "{}", path.display());
}

/// Fails unless nothing was found, and the one reason was met once.
fn assert_refused(finder: &Finder, target: &Target, reason: Refusal) {
    assert_eq!(find(finder, target).unwrap_err(), NotFound::Nothing, "{reason:?}");
    let refused: Vec<_> = Refusal::ALL.into_iter().filter(|each| finder.refusals().of(*each) > 0).collect();
    assert_eq!(refused, [reason]);
}

/// The hexadecimal digits of a target's build id.
fn digits(target: &Target) -> String {
    target.wanted(&supervisor()).build_id.to_string()
}

#[test]
fn an_executable_with_debug_information_needs_no_other_file() {
    let program = Separate::new("whole", &[]);
    let target = Target::in_its_root(&program.whole());
    put(&program.debug(), &target.place(&format!("/usr/lib/debug/{}", in_tree(&digits(&target)))));
    assert_found(find(&finder(&[]), &target), Origin::Executable, &target.place(PROGRAM));
}

#[test]
fn a_debug_file_is_found_in_the_targets_root_by_its_build_id() {
    let program = Separate::new("by-build-id", &[]);
    let target = Target::in_its_root(&program.stripped(false));
    let digits = digits(&target);
    let finder = finder(&[]);
    for path in [format!("/usr/lib/debug/{}", in_tree(&digits)), format!("/usr/lib/debug/{digits}/debuginfo")]
    {
        let path = target.place(&path);
        put(&program.debug(), &path);
        let origin = Origin::DebugFile(Place::Target, Named::ByBuildId);
        assert_found(find(&finder, &target), origin, &path);
        fs::remove_file(path).unwrap();
    }
    assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Nothing);
}

#[test]
fn a_debug_file_is_found_in_the_targets_root_by_its_link() {
    for program in [Separate::new("by-link", &[]), Separate::without_build_id("by-checksum")] {
        let target = Target::in_its_root(&program.stripped(false));
        let finder = finder(&[]);
        for path in [
            "/opt/app/program.debug",
            "/opt/app/.debug/program.debug",
            "/usr/lib/debug/opt/app/program.debug",
        ] {
            let path = target.place(path);
            put(&program.debug(), &path);
            assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &path);
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_debug_file_is_found_in_every_directory_that_was_named() {
    let program = Separate::new("directories", &[]);
    let target = Target::in_its_root(&program.stripped(false));
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let finder = finder(&[&first, Path::new("/nowhere/to/be/found"), &second]);
    let digits = digits(&target);
    let [tree, plain] = [in_tree(&digits), format!("{digits}/debuginfo")];
    let [long, short] = ["opt/app/program.debug", "program.debug"];
    for (position, directory) in [(0, &first), (2, &second)] {
        for (path, named) in [
            (&*tree, Named::ByBuildId),
            (&plain, Named::ByBuildId),
            (long, Named::ByLink),
            (short, Named::ByLink),
        ] {
            let path = directory.join(path);
            put(&program.debug(), &path);
            let origin = Origin::DebugFile(Place::Directory(position), named);
            assert_found(find(&finder, &target), origin, &path);
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn on_the_host_only_debug_files_of_its_own_count_for_a_container() {
    let program = Separate::new("host-root", &[]);
    let target = Target::in_its_root(&program.stripped(false));
    let host = tempfile::tempdir().unwrap();
    let finder = finder(&[]).with_host_root(host.path().to_owned());
    let tree = format!("usr/lib/debug/{}", in_tree(&digits(&target)));
    for (path, named) in [(&*tree, Named::ByBuildId), ("usr/lib/debug/opt/app/program.debug", Named::ByLink)]
    {
        let path = host.path().join(path);
        put(&program.debug(), &path);
        assert_found(find(&finder, &target), Origin::DebugFile(Place::Host, named), &path);
        let somebody = Some(1234);
        chown(&path, somebody, somebody).unwrap();
        assert_refused(&finder, &target, Refusal::Owner);
        fs::remove_file(path).unwrap();
    }
    // What is beside a file of the same path has nothing to do with the container's.
    for path in ["opt/app/program.debug", "opt/app/.debug/program.debug"] {
        put(&program.debug(), &host.path().join(path));
    }
    assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Nothing);
    // Its own goes first.
    put(&program.debug(), &host.path().join(&tree));
    let own = target.place("/opt/app/program.debug");
    put(&program.debug(), &own);
    assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &own);
}

#[test]
fn a_root_that_is_the_hosts_is_looked_into_once() {
    let (program, other) = (Separate::new("once", &[]), Separate::new("once-other", &["-O1"]));
    let target = Target::in_its_root(&program.stripped(false));
    put(&other.debug(), &target.place(&format!("/usr/lib/debug/{}", in_tree(&digits(&target)))));
    let finder = finder(&[]).with_host_root(target.place("/"));
    assert_refused(&finder, &target, Refusal::BuildId);
    assert_eq!(finder.refusals().of(Refusal::BuildId), 1);
}

#[test]
fn a_debug_file_beside_a_program_of_the_host_is_found() {
    let (program, other) = (Separate::new("host", &[]), Separate::new("host-other", &["-O1"]));
    let target = Target::on_the_host(&program.stripped(false));
    let finder = finder(&[]);
    let path = target.place("/opt/app/program.debug");
    put(&other.debug(), &path);
    assert_refused(&finder, &target, Refusal::BuildId);
    put(&program.debug(), &path);
    assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &path);
}

#[test]
fn symbols_lose_to_debug_information_and_win_over_less() {
    let program = Separate::new("symbols", &[]);
    let target = Target::in_its_root(&program.stripped(true));
    let path = target.place("/opt/app/program.debug");
    let finder = finder(&[]);
    // Fits, and has nothing.
    put(&program.stripped(false), &path);
    let found = find(&finder, &target).unwrap();
    assert_eq!((found.origin, found.quality()), (Origin::Executable, Quality::Symbols));
    put(&program.debug(), &path);
    assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &path);
}

#[test]
fn symbols_of_another_file_are_better_than_none_until_debug_information_is_found() {
    let program = Separate::new("better", &[]);
    let with_symbols = program.stripped(true);
    let symbols = with_symbols.with_extension("symbols");
    fs::rename(with_symbols, &symbols).unwrap();
    let target = Target::in_its_root(&program.stripped(false));
    put(&symbols, &target.place("/opt/app/program.debug"));
    let finder = finder(&[]);
    let found = find(&finder, &target).unwrap();
    let origin = Origin::DebugFile(Place::Target, Named::ByLink);
    assert_eq!((found.origin, found.quality()), (origin, Quality::Symbols));
    let last = target.place("/usr/lib/debug/opt/app/program.debug");
    put(&program.debug(), &last);
    assert_found(find(&finder, &target), origin, &last);
}

#[test]
fn a_file_in_a_tree_of_build_ids_must_have_the_one_it_is_named_by() {
    let (program, other) = (Separate::new("tree", &[]), Separate::new("tree-other", &["-O1"]));
    let nameless = Separate::without_build_id("tree-nameless");
    let target = Target::in_its_root(&program.stripped(false));
    for debug in [other.debug(), nameless.debug(), "/etc/hostname".into()] {
        put(&debug, &target.place(&format!("/usr/lib/debug/{}", in_tree(&digits(&target)))));
        assert_refused(&finder(&[]), &target, Refusal::BuildId);
    }
}

#[test]
fn a_file_without_build_id_must_have_the_checksum_of_the_link() {
    let (program, other) = (Separate::without_build_id("crc"), Separate::without_build_id("crc-other"));
    let target = Target::in_its_root(&program.stripped(false));
    let path = target.place("/opt/app/program.debug");
    let mut bytes = fs::read(other.debug()).unwrap();
    bytes.push(0);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    let finder = finder(&[]);
    assert_refused(&finder, &target, Refusal::Checksum);
    put(&program.debug(), &path);
    assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &path);
}

#[test]
fn files_without_build_id_are_summed_up_to_a_bound_in_sum() {
    let program = Separate::without_build_id("sum");
    let target = Target::in_its_root(&program.stripped(false));
    // The second is too much after the first; the third is not.
    const FIRST: u64 = MAX_SIZE / 64;
    for (path, size) in
        [("/opt/app/program.debug", FIRST), ("/opt/app/.debug/program.debug", MAX_SIZE - FIRST + 1)]
    {
        let path = target.place(path);
        put(&program.debug(), &path);
        File::options().write(true).open(path).unwrap().set_len(size).unwrap();
    }
    let last = target.place("/usr/lib/debug/opt/app/program.debug");
    put(&program.debug(), &last);
    let finder = finder(&[]);
    assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &last);
    assert_eq!([Refusal::Checksum, Refusal::TooLarge].map(|reason| finder.refusals().of(reason)), [1, 1]);
}

#[test]
fn a_link_to_a_path_is_no_link() {
    let program = Separate::new("path", &[]);
    let folder = tempfile::tempdir().unwrap();
    for name in ["../../etc/shadow", "/etc/shadow", "..", "sub/program.debug"] {
        let target = Target::in_its_root(&program.with_link(name.as_bytes(), 1));
        // A file that would be taken, had the link been followed.
        for path in ["/etc/shadow", "/opt/app/sub/program.debug", "/opt/app/shadow"] {
            put(&program.debug(), &target.place(path));
        }
        put(&program.debug(), &folder.path().join("etc/shadow"));
        let finder = finder(&[&folder.path().join("a/b")]);
        assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Nothing, "{name}");
    }
}

/// A debug file of the host, and symbolic links of a container that would lead to it on the host.
fn links_to(secret: &Path) -> [PathBuf; 2] {
    let below_any = Path::new("../../../../../../../../../..");
    [secret.to_owned(), below_any.join(secret.strip_prefix("/").unwrap())]
}

#[test]
fn symbolic_links_of_a_container_lead_to_no_file_of_the_host() {
    let program = Separate::new("secret", &[]);
    let target = Target::in_its_root(&program.stripped(false));
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("shadow");
    put(&program.debug(), &secret);
    let tree = format!("/usr/lib/debug/{}", in_tree(&digits(&target)));
    let finder = finder(&[]);
    for text in links_to(&secret).into_iter().chain(["/etc/shadow".into()]) {
        for path in [&*tree, "/opt/app/program.debug", "/opt/app/.debug/program.debug"] {
            let path = target.place(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(&text, &path).unwrap();
        }
        assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Nothing, "{}", text.display());
        for path in [&*tree, "/opt/app/program.debug", "/opt/app/.debug/program.debug"] {
            fs::remove_file(target.place(path)).unwrap();
        }
    }
    // The same text within the container does lead somewhere, once there is something.
    symlink(&secret, target.place("/opt/app/program.debug")).unwrap();
    let inside = target.place(secret.to_str().unwrap());
    put(&program.debug(), &inside);
    assert_found(find(&finder, &target), Origin::DebugFile(Place::Target, Named::ByLink), &inside);
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let program = Separate::new("fifo", &[]);
    let target = Target::in_its_root(&program.stripped(false));
    let path = target.place("/opt/app/program.debug");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_refused(&finder(&[]), &target, Refusal::Refused);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_refused(&finder(&[]), &target, Refusal::Refused);
    fs::remove_dir(&path).unwrap();
    symlink("/proc/self/exe", &path).unwrap();
    let finder = finder(&[]);
    assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Nothing, "there is no /proc in it");
    fs::remove_file(&path).unwrap();
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_refused(&finder, &target, Refusal::TooLarge);
}

#[test]
fn a_file_system_that_never_answers_is_not_waited_for() {
    let Some(fuse) = Fuse::mount(fs::read("/bin/true").unwrap()) else {
        eprintln!("this kernel has no FUSE: nothing to wait for");
        return;
    };
    let program = Separate::new("fuse", &[]);
    let target = Target::on_the_host(&program.stripped(false));
    // The folder of debug files, and thereby the way to them, is on it.
    symlink(fuse.file().parent().unwrap(), target.place("/opt/app/.debug")).unwrap();
    let wanted = target.wanted(&supervisor());
    fuse.fall_silent();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let finder = finder(&[]);
        let result = finder.find(&wanted).map(|found| found.origin);
        sender.send((result, finder.refusals().of(Refusal::UnsafeFileSystem))).unwrap();
    });
    let result = receiver.recv_timeout(PATIENCE);
    assert_eq!(result, Ok((Err(NotFound::Nothing), 1)));
}

#[test]
fn a_process_that_has_ended_has_the_host_and_the_directories() {
    let program = Separate::new("ended", &[]);
    let mut target = Target::in_its_root(&program.stripped(false));
    let wanted = target.wanted(&supervisor());
    // Gone with the process, for all that is known.
    put(&program.debug(), &target.place("/opt/app/program.debug"));
    target.end();
    let folder = tempfile::tempdir().unwrap();
    let finder = finder(&[folder.path()]);
    assert_eq!(finder.find(&wanted).unwrap_err(), NotFound::Nothing);
    let path = folder.path().join(in_tree(&wanted.build_id.to_string()));
    put(&program.debug(), &path);
    assert_found(finder.find(&wanted), Origin::DebugFile(Place::Directory(0), Named::ByBuildId), &path);
}

#[test]
fn a_process_of_the_host_that_has_ended_left_its_files() {
    let program = Separate::new("left", &[]);
    let mut target = Target::on_the_host(&program.stripped(false));
    let wanted = target.wanted(&supervisor());
    target.end();
    let path = target.place("/opt/app/program.debug");
    put(&program.debug(), &path);
    let finder = finder(&[]);
    let origin = Origin::DebugFile(Place::Target, Named::ByLink);
    assert_found(finder.find(&wanted), origin, &path);
    // Another file at the executable's path: it may have been any root's.
    put(&program.stripped(false), &target.place("/opt/app/new"));
    fs::rename(target.place("/opt/app/new"), target.place(PROGRAM)).unwrap();
    assert_eq!(finder.find(&wanted).unwrap_err(), NotFound::Nothing);
}

#[test]
fn an_executable_may_be_deleted_but_not_changed() {
    let program = Separate::new("deleted", &[]);
    let target = Target::in_its_root(&program.whole());
    let wanted = target.wanted(&supervisor());
    let finder = finder(&[]);
    fs::remove_file(target.place(PROGRAM)).unwrap();
    assert_eq!(finder.find(&wanted).unwrap().origin, Origin::Executable);

    let mut target = Target::in_its_root(&program.whole());
    let wanted = target.wanted(&supervisor());
    target.end();
    let file = File::options().write(true).open(target.place(PROGRAM)).unwrap();
    let times = file.metadata().unwrap().modified().unwrap();
    // The build id is another; the size and the time are not.
    let bytes = fs::read(target.place(PROGRAM)).unwrap();
    let id = &wanted.build_id.bytes;
    let at = bytes.windows(id.len()).position(|window| window == &**id).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[!id[0]], at as u64).unwrap();
    file.set_modified(times).unwrap();
    assert_eq!(finder.find(&wanted).unwrap_err(), NotFound::Changed);
    file.set_len(100).unwrap();
    assert_eq!(finder.find(&wanted).unwrap_err(), NotFound::Changed);
}

#[test]
fn a_link_to_the_executable_itself_is_no_second_file() {
    let program = Separate::new("itself", &[]);
    let target = Target::in_its_root(&program.with_link(b"program", 1));
    let finder = finder(&[]);
    assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Nothing);
    assert_eq!(Refusal::ALL.map(|reason| finder.refusals().of(reason)), [0; Refusal::ALL.len()]);
    assert!(DebugLink::new(b"program", 1).is_some());
}

#[test]
fn a_stopped_finder_finds_nothing_and_all_ends_are_counted() {
    let program = Separate::new("counted", &[]);
    let target = Target::in_its_root(&program.whole());
    let finder = Arc::new(finder(&[]));
    assert!(find(&finder, &target).is_ok());
    finder.stop();
    assert_eq!(find(&finder, &target).unwrap_err(), NotFound::Stopped);
    let registry = Registry::default();
    registry.register(move |exposition| finder.collect(exposition));
    let text = registry.scrape(Format::Prometheus);
    for line in [
        "parca_agent_debuginfo_searches_total{result=\"executable\"} 1",
        "parca_agent_debuginfo_searches_total{result=\"stopped\"} 1",
        "parca_agent_debuginfo_searches_total{result=\"nothing\"} 0",
        "parca_agent_debuginfo_candidates_refused_total{reason=\"checksum\"} 0",
    ] {
        assert!(text.lines().any(|each| each == line), "{line}: {text}");
    }
}
