//! Which measurements were asked for.

use std::str::FromStr;

use super::load::Set;

/// The names of the measurements of targets and of the store, which bring programs of their own.
const TARGETS: &str = "targets";
const STORE: &str = "store";

/// Several sets, written with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sets {
    /// Sets of programs, with each of which all profilers are measured.
    pub(super) programs: Vec<Set>,
    /// What targets and their selection cost the agent.
    pub(super) targets: bool,
    /// What a store costs the agent.
    pub(super) store: bool,
}

impl Default for Sets {
    fn default() -> Self {
        Self { programs: Set::ALL.to_vec(), targets: true, store: true }
    }
}

impl FromStr for Sets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut sets = Self { programs: Vec::new(), targets: false, store: false };
        for name in text.split(',') {
            match Set::ALL.into_iter().find(|set| set.name() == name) {
                Some(set) => sets.programs.push(set),
                None if name == TARGETS => sets.targets = true,
                None if name == STORE => sets.store = true,
                None => return Err(format!("`{name}` is none of idle, busy, deep, mix, targets, store")),
            }
        }
        Ok(sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_by_name() {
        let cases: [(&str, &[Set], bool, bool); 4] = [
            ("idle,mix", &[Set::Idle, Set::Mix], false, false),
            ("targets", &[], true, false),
            ("targets,busy", &[Set::Busy], true, false),
            ("store,targets", &[], true, true),
        ];
        for (text, programs, targets, store) in cases {
            assert_eq!(text.parse(), Ok(Sets { programs: programs.to_vec(), targets, store }), "{text}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused_by_name() {
        let refusal = |name| Err(format!("`{name}` is none of idle, busy, deep, mix, targets, store"));
        assert_eq!("idle,all".parse::<Sets>(), refusal("all"));
        assert_eq!("".parse::<Sets>(), refusal(""));
    }
}
