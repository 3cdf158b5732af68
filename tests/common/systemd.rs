//! A service manager of a test's own, with a bus that looks like the system's: systemd in its mode for users, on
//! this host, so that its processes are the host's.

use super::process;
use rustix::process::Signal;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than a start takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Where hierarchies are mounted that systemd puts its units into: v2 alone, or v1 with v2 beside it.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];

/// A running service manager. When it is dropped, its processes and cgroups are gone.
pub(crate) struct Systemd {
    directory: TempDir,
    cgroup: String,
    manager: Child,
}

impl Systemd {
    /// Starts it, and returns when it is on its bus.
    pub(crate) fn start() -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        assert!(rustix::process::geteuid().is_root(), "a manager of its own needs cgroups: run this as root");
        let directory = tempfile::tempdir().unwrap();
        for folder in ["run", "units", "none"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        // The name of a slice: so units are known by their names, too.
        let cgroup = format!("parca{}x{number}.slice", std::process::id());
        for hierarchy in hierarchies() {
            std::fs::create_dir(hierarchy.join(&cgroup)).unwrap();
        }
        write_units(directory.path(), BUS_CONFIGURATION);
        let manager = spawn(directory.path(), &cgroup);
        let systemd = Self { directory, cgroup, manager };
        systemd.await_bus();
        systemd
    }

    /// Where its bus is, for `DBUS_SYSTEM_BUS_ADDRESS`.
    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("run/bus").display())
    }

    /// The cgroup above all of its units, as a path.
    pub(crate) fn root(&self) -> String {
        format!("/{}", self.cgroup)
    }

    /// Writes a unit's file. It counts from the next start of a unit that is not loaded, or the next reload.
    pub(crate) fn write(&self, unit: &str, text: &str) {
        std::fs::write(self.units().join(unit), text).unwrap();
    }

    /// Gives a unit another name.
    pub(crate) fn alias(&self, alias: &str, unit: &str) {
        std::os::unix::fs::symlink(unit, self.units().join(alias)).unwrap();
    }

    /// Writes a service that runs a command, starts it, and returns its main process.
    pub(crate) fn start_service(&self, unit: &str, command: &[&str]) -> u32 {
        self.write(unit, &service(command, ""));
        self.systemctl(&["start", unit]);
        self.main_process(unit)
    }

    /// Starts a service anew, and returns its main process.
    pub(crate) fn restart(&self, unit: &str) -> u32 {
        self.systemctl(&["restart", unit]);
        self.main_process(unit)
    }

    /// Stops a unit.
    pub(crate) fn stop(&self, unit: &str) {
        self.systemctl(&["stop", unit]);
    }

    /// The main process of a service that runs.
    pub(crate) fn main_process(&self, unit: &str) -> u32 {
        let process = self.systemctl(&["show", "--property=MainPID", "--value", unit]);
        process
            .trim()
            .parse()
            .ok()
            .filter(|process| *process != 0)
            .unwrap_or_else(|| panic!("{unit} does not run"))
    }

    /// Every process of a unit.
    pub(crate) fn processes(&self, unit: &str) -> Vec<u32> {
        let path = self.systemctl(&["show", "--property=ControlGroup", "--value", unit]);
        hierarchies()
            .first()
            .map_or_else(Vec::new, |root| processes(&root.join(path.trim().trim_start_matches('/'))))
    }

    /// Runs systemctl(1), which must succeed, and returns what it says.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> String {
        let mut command = self.command("systemctl");
        command.args(["--user", "--no-pager"]).args(arguments);
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "systemctl {arguments:?}: {error}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a command in a scope of its own.
    pub(crate) fn start_scope(&self, unit: &str, command: &[&str]) -> Scope {
        let mut run = self.command("systemd-run");
        run.args(["--user", "--scope", "--quiet", "--unit", unit, "--"]).args(command);
        let child = run.stdout(Stdio::null()).spawn().unwrap();
        process::eventually("the scope runs", LIMIT, || {
            self.systemctl(&["show", "--property=ActiveState", "--value", unit]).trim() == "active"
        });
        Scope(child)
    }

    /// Kills the bus. It starts anew when it is asked for.
    pub(crate) fn kill_bus(&self) {
        let bus = self.main_process("dbus.service");
        process::signal(bus, Signal::KILL);
        process::eventually("the bus is gone", LIMIT, || process::has_ended(bus));
    }

    /// Kills the manager and all that it runs.
    pub(crate) fn kill(&mut self) {
        self.kill_manager();
        process::eventually("all processes of the manager are gone", LIMIT, || {
            let left: Vec<u32> = self.roots().iter().flat_map(|root| processes(root)).collect();
            left.iter().for_each(|process| process::signal(*process, Signal::KILL));
            left.is_empty()
        });
    }

    /// Kills the manager, and leaves its bus and its units running.
    pub(crate) fn kill_manager(&mut self) {
        let _ = self.manager.kill();
        let _ = self.manager.wait();
    }

    /// Starts it again after it was killed, and returns when it is on its bus.
    pub(crate) fn start_again(&mut self) {
        self.manager = spawn(self.directory.path(), &self.cgroup);
        self.await_bus();
    }

    /// What the manager has logged.
    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Where the files of its units are.
    pub(crate) fn units(&self) -> PathBuf {
        self.directory.path().join("units")
    }

    fn roots(&self) -> Vec<PathBuf> {
        hierarchies().iter().map(|hierarchy| hierarchy.join(&self.cgroup)).collect()
    }

    /// A program that speaks to this manager.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        environment(&mut command, self.directory.path());
        command
    }

    /// Has the bus configured in another way from its next start.
    pub(crate) fn configure_bus(&self, configuration: &str) {
        write_units(self.directory.path(), configuration);
    }

    fn await_bus(&self) {
        let run = |arguments: &[&str]| {
            let mut command = self.command("systemctl");
            let output = command.args(["--user"]).args(arguments).output().unwrap();
            output.status.success()
        };
        process::eventually("the manager answers", LIMIT, || run(&["start", "dbus.service"]));
        process::eventually("the manager is on the bus", LIMIT, || {
            let mut command = self.command("busctl");
            let status = command.args(["--user", "status", "org.freedesktop.systemd1"]);
            status.output().unwrap().status.success()
        });
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the manager: {}", self.log());
        }
        self.kill();
        self.roots().iter().for_each(|root| remove(root));
    }
}

/// A command in a scope, killed when it is dropped.
pub(crate) struct Scope(Child);

impl Scope {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The file of a service that runs a command, with what else is to be in it.
pub(crate) fn service(command: &[&str], more: &str) -> String {
    let mut text = format!("{more}\n[Service]\nType=exec\nExecStart=");
    for word in command {
        let word = word.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
        write!(text, "\"{word}\" ").unwrap();
    }
    text + "\n"
}

/// Everybody may say everything, as root may on the system's bus.
pub(crate) const BUS_CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:tmpdir=/none</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;

/// Writes the units without which a manager does not start. One of a user offers itself on a bus that it runs, and on
/// no other.
fn write_units(directory: &Path, bus: &str) {
    let configuration = directory.join("bus.conf");
    std::fs::write(&configuration, bus).unwrap();
    let configuration = format!("--config-file={}", configuration.display());
    let daemon = ["dbus-daemon", &configuration, "--address=systemd:", "--nofork", "--nopidfile"];
    let units = [
        ("basic.target", "[Unit]\n".to_owned()),
        ("shutdown.target", "[Unit]\nDefaultDependencies=no\n".to_owned()),
        ("default.target", "[Unit]\nWants=dbus.service\n".to_owned()),
        ("dbus.socket", "[Socket]\nListenStream=%t/bus\n".to_owned()),
        ("dbus.service", service(&daemon, "[Unit]\nRequires=dbus.socket\nStartLimitIntervalSec=0\n")),
    ];
    for (name, text) in units {
        std::fs::write(directory.join("units").join(name), text).unwrap();
    }
}

/// Starts a manager in a cgroup and a mount namespace of its own: it wants to see that the host runs systemd, which
/// this one may not, and it logs to the console.
fn spawn(directory: &Path, cgroup: &str) -> Child {
    const SCRIPT: &str = r#"
        set -e
        log=$1; shift
        for root do echo $$ >"$root/cgroup.procs"; done
        : >>"$log"
        [ ! -e /dev/console ] || mount --bind "$log" /dev/console
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/system
        program=/usr/lib/systemd/systemd
        [ -x "$program" ] || program=/lib/systemd/systemd
        exec "$program" --user --log-level=info --log-target=console
    "#;
    let log = std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", SCRIPT, "sh"]).arg(directory.join("log"));
    command.args(hierarchies().iter().map(|hierarchy| hierarchy.join(cgroup)));
    environment(&mut command, directory);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Nothing of the host's configuration, nor of the user's, is to matter.
fn environment(command: &mut Command, directory: &Path) {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", directory.join("none"));
    command.env("XDG_RUNTIME_DIR", directory.join("run"));
    command.env("XDG_CONFIG_DIRS", directory.join("none"));
    command.env("SYSTEMD_UNIT_PATH", directory.join("units"));
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", directory.join("run/bus").display()));
}

/// The hierarchies that units are put into.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let is_hierarchy = |path: &PathBuf| path.join("cgroup.procs").exists();
    HIERARCHIES.iter().map(PathBuf::from).filter(is_hierarchy).collect()
}

/// The processes in a cgroup and in those below.
fn processes(cgroup: &Path) -> Vec<u32> {
    let own = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<u32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    found.extend(below(cgroup).iter().flat_map(|cgroup| processes(cgroup)));
    found
}

/// Removes a cgroup and those below, which have no processes.
fn remove(cgroup: &Path) {
    below(cgroup).iter().for_each(|cgroup| remove(cgroup));
    // A process that was killed may take a moment to leave.
    process::eventually("the cgroup is empty", LIMIT, || {
        std::fs::remove_dir(cgroup).is_ok() || !cgroup.exists()
    });
}

fn below(cgroup: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(cgroup) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
}
