//! What an agent has in the kernel.

use std::collections::BTreeSet;
use std::process::Command;

/// Ids of BPF programs, maps and links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BpfObjects {
    programs: BTreeSet<u64>,
    maps: BTreeSet<u64>,
    links: BTreeSet<u64>,
}

impl BpfObjects {
    /// Those that a process holds descriptors of, and the maps that its programs use.
    pub(crate) fn of(process: u32) -> Self {
        let mut found = Self::default();
        for entry in std::fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap() {
            // A descriptor may be closed by now.
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            for line in text.lines() {
                let id =
                    |name: &str| line.strip_prefix(name).and_then(|rest| rest.trim().parse::<u64>().ok());
                found.programs.extend(id("prog_id:"));
                found.maps.extend(id("map_id:"));
                found.links.extend(id("link_id:"));
            }
        }
        for program in list("prog") {
            if found.programs.contains(&number(&program["id"])) {
                found.maps.extend(program["map_ids"].as_array().into_iter().flatten().map(number));
            }
        }
        found
    }

    /// Those of them that the kernel still has.
    pub(crate) fn left(&self) -> Self {
        let still = |kind, ids: &BTreeSet<u64>| {
            let there: BTreeSet<u64> = list(kind).iter().map(|object| number(&object["id"])).collect();
            ids & &there
        };
        Self {
            programs: still("prog", &self.programs),
            maps: still("map", &self.maps),
            links: still("link", &self.links),
        }
    }

    /// Whether there is at least a program and a map.
    pub(crate) fn is_sampler(&self) -> bool {
        !self.programs.is_empty() && !self.maps.is_empty()
    }
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap()
}

fn list(kind: &str) -> Vec<serde_json::Value> {
    let output = Command::new("bpftool").args(["-j", kind, "show"]).output().expect("bpftool is needed");
    serde_json::from_slice::<serde_json::Value>(&output.stdout)
        .unwrap()
        .as_array()
        .cloned()
        .unwrap_or_default()
}
