//! The agent's BPF maps one by one, by the names that `bpftool` knows.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::program::Programs;
use crate::command;

/// A map as `bpftool` tells of it.
#[derive(Debug, Deserialize)]
struct Map {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    bytes_memlock: u64,
}

/// One line: the memory of each map of these programs in KiB, the largest first. What several maps of one name have
/// is added.
pub(super) fn text(programs: &Programs) -> Result<String> {
    let json = command::output(Command::new("bpftool").args(["-j", "map", "show"]))?;
    let maps: Vec<Map> = serde_json::from_str(&json).context("bpftool's answer is not understood")?;
    Ok(listed(maps.into_iter().filter(|map| programs.has_map(map.id))))
}

fn listed(maps: impl Iterator<Item = Map>) -> String {
    let mut sums: Vec<(String, u64)> = Vec::new();
    for map in maps {
        match sums.iter_mut().find(|(name, _)| *name == map.name) {
            Some((_, bytes)) => *bytes += map.bytes_memlock,
            None => sums.push((map.name, map.bytes_memlock)),
        }
    }
    sums.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let words = sums.iter().map(|(name, bytes)| {
        let name = if name.is_empty() { "unnamed" } else { name };
        format!("{name} {}", bytes.div_ceil(1024))
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_listed_by_size_and_added_by_name() {
        let map = |name: &str, bytes_memlock| Map { id: 1, name: name.to_owned(), bytes_memlock };
        let maps = [map("RULES", 2048), map("", 5000), map("ROWS", 1024), map("", 1)];
        assert_eq!(listed(maps.into_iter()), "unnamed 5, RULES 2, ROWS 1");
    }
}
