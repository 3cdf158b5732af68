//! `__meta_*` labels of a process and of the machine, for rules alone.

use super::Facts;
use crate::label::LabelSet;
use crate::object::ObjectInfo;
use crate::process::details::DetailsWanted;
use crate::relabel::Rules;
use crate::text;

/// Names that differ from process to process in one cgroup.
const OF_PROCESS: [&str; 11] = [
    "__meta_process_pid",
    "__meta_process_ppid",
    "__meta_process_comm",
    "__meta_process_cmdline",
    "__meta_process_executable_name",
    "__meta_process_executable_path",
    "__meta_process_executable_file_id",
    "__meta_process_executable_build_id",
    "__meta_process_executable_compiler",
    "__meta_process_executable_static",
    "__meta_process_executable_stripped",
];
const ENVIRONMENT: &str = "__meta_env_var_";

/// What rules want to know of processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Something that differs from process to process.
    pub(super) of_process: bool,
    /// What has to be read.
    pub(super) details: DetailsWanted,
}

impl Wanted {
    /// What these rules read; of the environment only variables that the operator allows.
    pub(super) fn by(rules: &Rules, variables: &[String]) -> Self {
        let reads = |suffix: &str| rules.reads(&format!("__meta_process_{suffix}"));
        let environment: Vec<_> =
            variables.iter().filter(|name| rules.reads(&format!("{ENVIRONMENT}{name}"))).cloned().collect();
        let executable = ["file_id", "build_id", "compiler", "static", "stripped"]
            .iter()
            .any(|suffix| reads(&format!("executable_{suffix}")));
        let details = DetailsWanted {
            origin: executable || reads("ppid") || reads("executable_name") || reads("executable_path"),
            command_line: reads("cmdline"),
            executable,
            environment,
        };
        let of_process = details.is_any() || OF_PROCESS.iter().any(|name| rules.reads(name));
        Self { of_process, details }
    }

    /// Whether everything is known of a process that is wanted, as far as it can be: it is read some time after its
    /// first sample, and its executable is identified later still. A thread of the kernel has none.
    pub(super) fn is_there(&self, facts: &Facts) -> bool {
        let Some(details) = &facts.details else { return !self.details.is_any() };
        let is_identified = || facts.executable.as_ref().is_some_and(|object| object.info.get().is_some());
        !self.details.executable || details.object.is_none() || is_identified()
    }
}

/// Puts the labels of a process.
pub(super) fn put_process(labels: &mut LabelSet, facts: &Facts) {
    let mut put = |name: &str, value: &[u8]| {
        labels.set(format!("__meta_process_{name}"), text::display(value).to_string());
    };
    if let Some(process) = facts.process {
        put("pid", process.tgid.to_string().as_bytes());
    }
    put("comm", facts.comm.as_bytes());
    if let Some(cgroups) = &facts.cgroups {
        put("cgroup", &cgroups.main().0);
    }
    if let Some(details) = &facts.details {
        if let Some(parent) = details.parent {
            put("ppid", parent.to_string().as_bytes());
        }
        if let Some(path) = &details.executable {
            put("executable_path", path);
            put("executable_name", path.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
        }
        if let Some(line) = &details.command_line {
            let arguments: Vec<u8> = line.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
            put("cmdline", arguments.trim_ascii_end());
        }
        for (name, value) in &details.environment {
            labels.set(format!("{ENVIRONMENT}{name}"), text::display(value).to_string());
        }
    }
    if let Some(info) = facts.executable.as_ref().and_then(|object| object.identified()) {
        put_executable(labels, info);
    }
}

fn put_executable(labels: &mut LabelSet, info: &ObjectInfo) {
    let mut put = |name: &str, value: String| labels.set(format!("__meta_process_executable_{name}"), value);
    put("build_id", info.build_id.to_string());
    put("static", info.making.is_static.to_string());
    put("stripped", info.making.is_stripped.to_string());
    if let Some(id) = &info.making.file_id {
        put("file_id", id.to_string());
    }
    if let Some(compiler) = &info.making.compiler {
        put("compiler", compiler.to_string());
    }
}

/// Puts the labels that are the same for all processes.
pub(super) fn put_machine(labels: &mut LabelSet) {
    let system = rustix::system::uname();
    labels.set("__meta_system_kernel_release", system.release().to_string_lossy());
    labels.set("__meta_system_kernel_machine", system.machine().to_string_lossy());
    labels.set("__meta_agent_revision", env!("CARGO_PKG_VERSION"));
}
