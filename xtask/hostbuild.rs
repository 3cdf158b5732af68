//! The build script of the agent: compiles the BPF objects it carries and names its version.
//!
//! The agent includes the objects as `OUT_DIR/modern` and `OUT_DIR/baseline`, and reads the version from
//! the compile-time variable `PARCA_AGENT_VERSION`.

#[path = "src/bpf.rs"]
mod bpf;
#[path = "src/toolchain.rs"]
mod toolchain;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bpf::{Build, OBJECTS};
use toolchain::Machine;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    if !["x86_64", "aarch64"].contains(&arch.as_str()) {
        return Err(
            format!("the BPF programs read the registers of x86_64 and aarch64, not of {arch}").into()
        );
    }
    for source in ["Cargo.toml", "Cargo.lock", "ebpf", "xtask/hostbuild.rs", "xtask/src/bpf.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed=xtask/src/toolchain.rs");

    let machine = Machine::this();
    let triple = env::var("TARGET")?;
    let target_dir = target_dir(&out_dir, &triple);
    let build = Build { workspace: &workspace, target_dir, arch: &arch, deny_warnings: false };
    for object in &OBJECTS {
        let built = build.run(&machine, object)?;
        for line in built.messages.lines() {
            println!("cargo::warning={line}");
        }
        fs::copy(&built.path, out_dir.join(object.name))?;
    }
    println!("cargo::rustc-env=PARCA_AGENT_VERSION={}", version(&workspace)?);
    Ok(())
}

/// Cargo's target folder, of which `out_dir` is `[TRIPLE/]PROFILE/build/PACKAGE/out`. The objects are kept
/// there rather than in `out_dir`, so that all profiles share them.
fn target_dir<'a>(out_dir: &'a Path, triple: &str) -> &'a Path {
    let build = out_dir.ancestors().find(|folder| folder.ends_with("build"));
    match build.and_then(Path::parent).and_then(Path::parent) {
        Some(folder) if folder.ends_with(triple) => folder.parent().unwrap_or(folder),
        Some(folder) => folder,
        None => out_dir,
    }
}

/// The package's version with the commit it was built from; the bare version outside a git checkout.
fn version(workspace: &Path) -> Result<String, env::VarError> {
    let package = env::var("CARGO_PKG_VERSION")?;
    // A checkout of an outer repository, around a source archive of this one, says nothing of it.
    if !workspace.join(".git").exists() {
        return Ok(package);
    }
    let Some(commit) = git(workspace, &["rev-parse", "--short=7", "HEAD"]) else { return Ok(package) };
    // Only files that exist may be watched: cargo runs the script every time when one is missing. The
    // log grows with each commit, also where the reference itself is packed away.
    let head = git(workspace, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", head.as_deref().unwrap_or("HEAD")] {
        let path = git(workspace, &["rev-parse", "--git-path", name]).map(|path| workspace.join(path));
        if let Some(path) = path.filter(|path| path.is_file()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    Ok(format!("{package} ({commit})"))
}

fn git(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(workspace).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
