//! Programs in cgroups like those of services and containers, all in the one hierarchy of cgroup v2, and the labels
//! that their targets have for it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::report::Report;

/// The cgroup of a service.
pub(super) const SERVICE: &str = "/system.slice/busy.service";

/// The cgroup of a container of a pod.
pub(super) const CONTAINER: &str = concat!(
    "/kubepods.slice/kubepods-burstable.slice",
    "/kubepods-burstable-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice",
    "/cri-containerd-1c6ba97d2f8e0453b3a1f6e5d7c8092b4e6f80a1c3d5e7f9012b4d6f8a0c2e4f.scope"
);

/// What no container runtime has told of is named by its cgroup.
const CONTAINER_ID: &str = "containerd://1c6ba97d2f8e0453b3a1f6e5d7c8092b4e6f80a1c3d5e7f9012b4d6f8a0c2e4f";
/// See [`CONTAINER_ID`].
const BRIEF_CONTAINER_ID: &str =
    "containerd://9f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211ffeeddccbbaa00";

/// The cgroup of another container of the pod.
pub(super) const BRIEF_CONTAINER: &str = concat!(
    "/kubepods.slice/kubepods-burstable.slice",
    "/kubepods-burstable-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice",
    "/cri-containerd-9f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211ffeeddccbbaa00.scope"
);

/// A program, and labels that most of its samples have, all of these. A few may be from before it executed, whose name
/// was read after that.
struct Placed {
    comm: &'static str,
    labels: &'static [(&'static str, &'static str)],
}

/// Where the script puts programs. `moment` is moved there by the process that executes it, whose parent is elsewhere,
/// and is gone before anybody has read it, as a rule: what is known then is the cgroup's id.
const PLACED: [Placed; 4] = [
    Placed { comm: "nofp", labels: &[("systemd_unit", "busy.service")] },
    Placed { comm: "deep-nofp", labels: &[("containerid", CONTAINER_ID)] },
    Placed { comm: "moment", labels: &[("containerid", BRIEF_CONTAINER_ID)] },
    Placed { comm: "signal", labels: &[("cgroup", "/")] },
];

/// What `/api/v1/targets` tells, as far as it is wanted.
#[derive(Deserialize)]
struct Targets {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    labels: BTreeMap<String, String>,
    samples: u64,
}

/// The samples of every program are under its labels.
pub(super) fn labels(report: &Report, object: &str) -> Result<(), String> {
    let json = report.files.get(&format!("{object}.targets")).ok_or("the agent gave no list of targets")?;
    let Targets { targets } =
        serde_json::from_slice(json).map_err(|error| format!("the targets: {error}"))?;
    PLACED.iter().try_for_each(|placed| placed.check(&targets))
}

impl Placed {
    fn check(&self, targets: &[Target]) -> Result<(), String> {
        let has = |target: &Target, (name, value): &(&str, &str)| {
            target.labels.get(*name).is_some_and(|found| found == value)
        };
        let is_right = |target: &Target| self.labels.iter().all(|label| has(target, label));
        let own = targets.iter().filter(|target| has(target, &("comm", self.comm)));
        let (right, wrong): (Vec<_>, Vec<_>) = own.partition(|target| is_right(target));
        let samples = |targets: &[&Target]| targets.iter().map(|target| target.samples).sum::<u64>();
        let (right, wrong, example) = (samples(&right), samples(&wrong), wrong.first());
        if right > wrong {
            return Ok(());
        }
        let example = example.map(|target| format!("; {wrong} have {:?}", target.labels)).unwrap_or_default();
        Err(format!("{right} samples of {} have the labels {:?}{example}", self.comm, self.labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEF: (&str, &str) = ("containerid", BRIEF_CONTAINER_ID);
    const ROOT: (&str, &str) = ("cgroup", "/");

    fn report(targets: &str) -> Report {
        let json = format!("{{\"node\":\"n1\",\"targets\":[{targets}]}}");
        Report { files: [("modern.targets".to_owned(), json.into_bytes())].into(), ..Report::default() }
    }

    fn target(comm: &str, (name, value): (&str, &str), samples: u64) -> String {
        format!(
            "{{\"labels\":{{\"comm\":\"{comm}\",\"{name}\":\"{value}\",\"node\":\"n1\"}},\"samples\":{samples}}}"
        )
    }

    /// What a right agent tells, but for one program.
    fn targets_with(comm: &str, instead: &[String]) -> String {
        let others = PLACED.iter().filter(|other| other.comm != comm);
        let mut targets: Vec<_> = others.map(|other| target(other.comm, other.labels[0], 7)).collect();
        targets.extend_from_slice(instead);
        targets.join(",")
    }

    #[test]
    fn most_samples_of_a_placed_program_have_its_labels() {
        let [few, many] = [3, 8].map(|samples| target("moment", BRIEF, samples));
        for (name, instead, reason) in [
            ("right", vec![few.clone()], None),
            ("mostly right", vec![many, target("moment", ROOT, 3)], None),
            ("mostly wrong", vec![few, target("moment", ROOT, 4)], Some("3 samples of moment have")),
            ("wrong", vec![target("moment", ROOT, 4)], Some("4 have {\"cgroup\": \"/\"")),
            ("none", vec![], Some("0 samples of moment have")),
            ("no samples", vec![target("moment", BRIEF, 0)], Some("0 samples of moment have")),
        ] {
            let result = labels(&report(&targets_with("moment", &instead)), "modern");
            match reason {
                None => assert_eq!(result, Ok(()), "{name}"),
                Some(reason) => assert!(result.as_ref().unwrap_err().contains(reason), "{name}: {result:?}"),
            }
        }
        assert!(labels(&Report::default(), "modern").is_err());
    }
}
