//! The virtual machine: two processors, memory, and a console. Hardware runs it where it can, else qemu
//! translates its code, which takes about ten times as long.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::dist::Arch;

/// A machine that has not switched itself off by then hangs. On an idle host it takes a third.
const LIMIT: Duration = Duration::from_secs(180);

/// A machine that hardware runs has booted by then.
const HARDWARE_BOOT_LIMIT: Duration = Duration::from_secs(10);

/// How often the machine is looked at.
const POLL: Duration = Duration::from_millis(50);

/// The start of the first line of the script inside.
const SIGN_OF_LIFE: &[u8] = b"vm-test: ";

/// What to boot.
pub(super) struct Machine<'a> {
    pub(super) arch: Arch,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
}

/// Who ran the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accelerator {
    Hardware,
    Emulation,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hardware => "KVM",
            Self::Emulation => "emulated",
        })
    }
}

/// What a machine said until it switched itself off.
pub(super) struct Boot {
    pub(super) console: Vec<u8>,
    pub(super) accelerator: Accelerator,
}

impl Machine<'_> {
    /// Boots and waits for the end. A machine that hangs is ended, and what it said so far is the result.
    pub(super) fn boot(&self) -> Result<Boot> {
        if self.arch.name() == std::env::consts::ARCH && Path::new("/dev/kvm").exists() {
            // The device alone proves nothing: inside another virtual machine it may be useless.
            let console = self.run(Accelerator::Hardware)?;
            if contains(&console, SIGN_OF_LIFE) {
                return Ok(Boot { console, accelerator: Accelerator::Hardware });
            }
        }
        Ok(Boot { console: self.run(Accelerator::Emulation)?, accelerator: Accelerator::Emulation })
    }

    fn run(&self, accelerator: Accelerator) -> Result<Vec<u8>> {
        let console = self.initramfs.with_extension("console");
        let output =
            File::create(&console).with_context(|| format!("cannot create {}", console.display()))?;
        let mut qemu = self.command(accelerator);
        let errors = output.try_clone().context("cannot duplicate a descriptor")?;
        qemu.stdin(Stdio::null()).stdout(output).stderr(errors);
        let name = qemu.get_program().to_string_lossy().into_owned();
        let mut child = qemu.spawn().with_context(|| format!("cannot start {name}"))?;
        let waited = wait(&mut child, &console, accelerator);
        let _ = child.kill(); // it may have ended by itself
        child.wait().with_context(|| format!("cannot wait for {name}"))?;
        waited?;
        let said = fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
        let _ = fs::remove_file(&console); // its contents are returned
        Ok(said)
    }

    fn command(&self, accelerator: Accelerator) -> Command {
        let (program, machine, emulated, console) = match self.arch {
            Arch::X86_64 => ("qemu-system-x86_64", "q35", "max", "ttyS0"),
            // Its `max` has more than some kernels boot with under older versions of qemu.
            Arch::Aarch64 => ("qemu-system-aarch64", "virt", "cortex-a72", "ttyAMA0"),
        };
        let (accelerator, processor) = match accelerator {
            Accelerator::Hardware => ("kvm", "host"),
            Accelerator::Emulation => ("tcg,thread=multi", emulated),
        };
        let mut qemu = Command::new(program);
        qemu.args(["-machine", machine, "-accel", accelerator, "-cpu", processor, "-smp", "2", "-m", "1024"]);
        qemu.args(["-nographic", "-nodefaults", "-serial", "stdio", "-no-reboot"]);
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        // A kernel that panics restarts at once, which `-no-reboot` turns into the end.
        qemu.args(["-append", &format!("console={console} panic=-1 quiet")]);
        qemu
    }
}

/// Returns when the machine has ended or will not any more.
fn wait(child: &mut Child, console: &Path, accelerator: Accelerator) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if child.try_wait().context("cannot wait for qemu")?.is_some() {
            return Ok(());
        }
        if accelerator == Accelerator::Hardware && start.elapsed() > HARDWARE_BOOT_LIMIT {
            let said = fs::read(console).with_context(|| format!("cannot read {}", console.display()))?;
            if !contains(&said, SIGN_OF_LIFE) {
                return Ok(());
            }
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
