//! Whether this process may load BPF programs and sample all CPUs, and what to do if not.

use rustix::thread::{CapabilitySet, capabilities};
use std::fmt;

/// What the agent may not do, in words for the operator: the thing, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is missing.
    pub thing: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.thing, self.remedy)
    }
}

/// Each capability that sampling needs. `CAP_SYS_ADMIN` stands for both, and is the only one that
/// kernels before 5.8 know.
const NEEDED: [(CapabilitySet, &str); 2] =
    [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::PERFMON, "CAP_PERFMON")];

/// Checks the effective capabilities of this thread.
pub(super) fn missing() -> Option<Refusal> {
    let effective = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective);
    refusal(effective)
}

fn refusal(effective: CapabilitySet) -> Option<Refusal> {
    if effective.contains(CapabilitySet::SYS_ADMIN) {
        return None;
    }
    let missing: Vec<_> =
        NEEDED.iter().filter(|(set, _)| !effective.contains(*set)).map(|(_, name)| *name).collect();
    (!missing.is_empty()).then(|| Refusal {
        thing: format!("missing {}", missing.join(" and ")),
        remedy:
            "run parca-agent as root, or give it CAP_BPF and CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN)"
                .to_owned(),
    })
}

/// Where the kernel tells its lockdown mode, if it has securityfs mounted.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// Explains an `EPERM` of `bpf(2)` that capabilities do not explain.
pub(super) fn explain_bpf_refusal() -> Refusal {
    let lockdown = std::fs::read_to_string(LOCKDOWN).unwrap_or_default();
    if lockdown.contains("[confidentiality]") {
        return Refusal {
            thing: "kernel lockdown is in confidentiality mode, which forbids BPF to read kernel memory"
                .to_owned(),
            remedy: "boot with lockdown=integrity or lockdown=none".to_owned(),
        };
    }
    Refusal {
        thing: "the kernel refused bpf(2) although the capabilities are there".to_owned(),
        remedy: "look for a seccomp filter or a security module (container runtimes: allow bpf and perf_event_open)"
            .to_owned(),
    }
}

/// Explains an `EPERM` or `EACCES` of `perf_event_open(2)`.
pub(super) fn explain_perf_refusal() -> Refusal {
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    Refusal {
        thing: format!(
            "the kernel refused perf_event_open(2), with kernel.perf_event_paranoid={}",
            paranoid.trim()
        ),
        remedy:
            "give parca-agent CAP_PERFMON; where that is not enough (Debian, Ubuntu above 2), CAP_SYS_ADMIN, \
                 or set the sysctl to 2"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{CapabilitySet, refusal};

    #[test]
    fn each_missing_capability_is_named() {
        for (effective, thing) in [
            (CapabilitySet::SYS_ADMIN, None),
            (CapabilitySet::BPF | CapabilitySet::PERFMON, None),
            (CapabilitySet::BPF, Some("missing CAP_PERFMON")),
            (CapabilitySet::empty(), Some("missing CAP_BPF and CAP_PERFMON")),
        ] {
            assert_eq!(refusal(effective).map(|refusal| refusal.thing).as_deref(), thing);
        }
    }
}
