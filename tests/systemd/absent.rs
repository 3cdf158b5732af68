//! No bus, a bus that does not answer, and one that does not let the agent in: names of cgroups do meanwhile.

use super::process;
use super::source::{LIMIT, Source};
use super::systemd::{BUS_CONFIGURATION, Systemd};
use parca_agent::discovery::status::State;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A bus alone, killed when it is dropped.
struct Bus {
    daemon: Child,
    address: String,
    _directory: TempDir,
}

impl Bus {
    fn start(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bus.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg(format!("--config-file={}", file.display()));
        command.arg(format!("--address=unix:path={}", directory.path().join("bus").display()));
        command.args(["--nofork", "--nopidfile", "--print-address"]).stdout(Stdio::piped());
        let mut daemon = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { daemon, address: address.trim().to_owned(), _directory: directory }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Waits until the source fails with a word in its error, and asserts that it still tells units by their names.
fn assert_fails(source: &Source, word: &str) {
    source.await_state(State::Failing);
    let error = source.status.snapshot().last_error.unwrap();
    assert!(error.contains(word), "{error}");
    let unit = source.units.unit_of(&[b"/system.slice/web.service/x"]).unwrap();
    assert_eq!(unit.name.as_str(), "web.service");
    assert_eq!(unit.discovered.meta.get("__meta_systemd_slice"), Some("system.slice"));
    // What nobody told is not known to be missing.
    assert_eq!(source.units.missing(), [""; 0]);
}

#[test]
fn there_is_no_bus() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bus");
    let source = Source::start(format!("unix:path={}", path.display()), &["web.service"]);
    assert_fails(&source, "failed to connect to the system bus");
}

#[test]
fn the_bus_comes_later() {
    let mut systemd = Systemd::start();
    systemd.kill();
    let source = Source::start(systemd.address(), &["web.service"]);
    assert_fails(&source, "failed to connect to the system bus");
    systemd.start_again();
    let main = systemd.start_service("web.service", &["sleep", "1000"]);
    source.await_unit(main, "web.service");
}

#[test]
fn the_bus_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let begun = Instant::now();
    let source = Source::start(format!("unix:path={}", path.display()), &["web.service"]);
    assert_fails(&source, "no answer to Hello within 5 s");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    drop(listener);
}

#[test]
fn the_bus_talks_nonsense() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(&[b'x'; 1 << 16]);
        let _ = stream.write_all(b"\r\nOK 0123456789abcdef0123456789abcdef\r\n");
        // Until the source turns away.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let source = Source::start(format!("unix:path={}", path.display()), &["web.service"]);
    assert_fails(&source, "");
    answering.join().unwrap();
}

#[test]
fn nobody_is_let_in() {
    let closed = BUS_CONFIGURATION.replace("<allow user=\"*\"/>", "<deny user=\"*\"/>");
    let bus = Bus::start(&closed);
    let source = Source::start(bus.address.clone(), &["web.service"]);
    assert_fails(&source, "failed to connect to the system bus");
}

#[test]
fn systemd_is_not_on_the_bus() {
    let bus = Bus::start(BUS_CONFIGURATION);
    let source = Source::start(bus.address.clone(), &["web.service"]);
    assert_fails(&source, "failed to call GetNameOwner");
}

#[test]
fn nothing_may_be_asked() {
    let denied = BUS_CONFIGURATION.replace(
        "<allow send_destination=\"*\"/>",
        "<allow send_destination=\"*\"/>\n<deny send_interface=\"org.freedesktop.systemd1.Manager\" send_type=\"method_call\"/>",
    );
    let mut systemd = Systemd::start();
    systemd.kill();
    systemd.configure_bus(&denied);
    systemd.start_again();
    let source = Source::start(systemd.address(), &["web.service"]);
    assert_fails(&source, "AccessDenied");
    // With the right to ask, all is well.
    systemd.kill();
    systemd.configure_bus(BUS_CONFIGURATION);
    systemd.start_again();
    process::eventually("the source works", LIMIT, || source.status.snapshot().state == State::Working);
}
