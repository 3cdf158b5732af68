//! The host source: what nothing else claims, grouped by executable.

use super::target::{Source, Target};
use crate::label::LabelSet;
use crate::process::cgroup::Cgroups;
use crate::process::comm::Comm;
use crate::text;
use std::collections::HashMap;
use std::sync::Arc;

/// Value of `__name__` on every profile.
pub const PROFILE_NAME: &str = "parca_agent_cpu";

/// Makes one target for each cgroup and process name.
#[derive(Debug)]
pub struct HostTargets {
    base: LabelSet,
    /// Those of the last windows; emptied when it grows past [`MAX_TARGETS`].
    targets: HashMap<(Comm, Option<Arc<Cgroups>>), Arc<Target>>,
}

/// Targets that are remembered. Forgetting one costs making it again.
const MAX_TARGETS: usize = 4096;

impl HostTargets {
    /// `node` and `external` labels go on every target.
    pub fn new(node: &str, external: &LabelSet) -> Self {
        let mut base: LabelSet = external.clone();
        base.set("__name__", PROFILE_NAME);
        base.set("node", node);
        Self { base, targets: HashMap::new() }
    }

    /// The target of a process.
    pub fn target(&mut self, comm: Comm, cgroup: Option<Arc<Cgroups>>) -> Arc<Target> {
        if self.targets.len() >= MAX_TARGETS {
            self.targets.clear();
        }
        let base = &self.base;
        self.targets
            .entry((comm, cgroup))
            .or_insert_with_key(|(comm, cgroup)| {
                let mut labels = base.clone();
                labels.set("comm", comm.to_string());
                if let Some(cgroup) = cgroup {
                    labels.set("cgroup", text::display(&cgroup.main().0).to_string());
                }
                Arc::new(Target { labels, source: Source::Host })
            })
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::HostTargets;
    use crate::label::LabelSet;
    use crate::process::cgroup::CgroupPath;
    use crate::process::comm::Comm;
    use std::sync::Arc;

    #[test]
    fn one_target_for_each_name_and_cgroup() {
        let external: LabelSet = [("region", "eu")].into_iter().collect();
        let mut targets = HostTargets::new("n1", &external);
        let cgroup = Some(Arc::new(CgroupPath::root().into()));
        let shell = targets.target(Comm::new(b"sh"), cgroup.clone());
        assert_eq!(
            shell.labels.to_string(),
            r#"{__name__="parca_agent_cpu",cgroup="/",comm="sh",node="n1",region="eu"}"#
        );
        assert!(Arc::ptr_eq(&shell, &targets.target(Comm::new(b"sh"), cgroup)));
        assert_eq!(targets.target(Comm::new(b"sh"), None).labels.get("cgroup"), None);
    }

    #[test]
    fn the_agents_own_labels_cannot_be_replaced() {
        let external: LabelSet = [("node", "other"), ("__name__", "x")].into_iter().collect();
        let target = HostTargets::new("n1", &external).target(Comm::new(b"sh"), None);
        assert_eq!(target.labels.get("node"), Some("n1"));
        assert_eq!(target.labels.get("__name__"), Some("parca_agent_cpu"));
    }
}
