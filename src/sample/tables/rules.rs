//! The one table of rules that the rows of all object files share.

use parca_agent_common::limits::MAX_RULES;
use parca_agent_common::unwind::rule::{Rule, RuleId};
use std::collections::HashMap;

/// The rule that stands for those that found the table full: frame pointers are followed.
const OVERFLOW: RuleId = RuleId(0);

/// Rules in use, each with the number of tables that use it.
#[derive(Debug)]
pub(super) struct Rules {
    by_rule: HashMap<Rule, (RuleId, u32)>,
    by_id: Vec<Option<Rule>>,
    free: Vec<RuleId>,
    overflowed: u64,
}

/// A rule that was met, and whether it is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) id: RuleId,
    pub(super) is_new: bool,
}

impl Rules {
    /// Only the rule of what is uncovered, which is rule 0 and all zeros.
    pub(super) fn new() -> Self {
        Self {
            by_rule: HashMap::from([(Rule::UNCOVERED, (OVERFLOW, 1))]),
            by_id: vec![Some(Rule::UNCOVERED)],
            free: Vec::new(),
            overflowed: 0,
        }
    }

    /// The id of a rule, one user more.
    pub(super) fn meet(&mut self, rule: Rule) -> Met {
        if let Some((id, users)) = self.by_rule.get_mut(&rule) {
            *users += 1;
            return Met { id: *id, is_new: false };
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.by_id.len() < MAX_RULES as usize => {
                self.by_id.push(None);
                RuleId((self.by_id.len() - 1) as u16)
            }
            None => {
                self.overflowed += 1;
                return self.meet(Rule::UNCOVERED);
            }
        };
        self.by_rule.insert(rule, (id, 1));
        if let Some(place) = self.by_id.get_mut(usize::from(id.0)) {
            *place = Some(rule);
        }
        Met { id, is_new: true }
    }

    /// One user less. What nobody uses is given to the next rule: the caller waits until no program reads it.
    pub(super) fn leave(&mut self, id: RuleId) {
        let Some(Some(rule)) = self.by_id.get(usize::from(id.0)).copied() else { return };
        let Some((_, users)) = self.by_rule.get_mut(&rule) else { return };
        *users = users.saturating_sub(1);
        if *users == 0 && id != OVERFLOW {
            self.by_rule.remove(&rule);
            if let Some(place) = self.by_id.get_mut(usize::from(id.0)) {
                *place = None;
            }
            self.free.push(id);
        }
    }

    /// Rules in use.
    pub(super) fn len(&self) -> usize {
        self.by_rule.len()
    }

    /// Rules that found the table full.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::{Met, OVERFLOW, Rules};
    use parca_agent_common::unwind::rule::{Rule, RuleId};

    fn rule(number: u32) -> Rule {
        Rule { kind: 2, saved: 0, cfa: (number >> 16) as i16, fp: number as u16 as i16, extra: 0 }
    }

    #[test]
    fn equal_rules_share_an_id_until_the_last_has_left() {
        let mut rules = Rules::new();
        assert_eq!(rules.meet(rule(1)), Met { id: RuleId(1), is_new: true });
        assert_eq!(rules.meet(rule(1)), Met { id: RuleId(1), is_new: false });
        rules.leave(RuleId(1));
        assert_eq!(rules.meet(rule(2)).id, RuleId(2));
        rules.leave(RuleId(1));
        assert_eq!(rules.meet(rule(3)), Met { id: RuleId(1), is_new: true });
        assert_eq!(rules.meet(Rule::UNCOVERED), Met { id: OVERFLOW, is_new: false });
    }

    #[test]
    fn a_full_table_gives_the_rule_that_guesses() {
        let mut rules = Rules::new();
        for number in 1..=u32::from(u16::MAX) {
            assert!(rules.meet(rule(number)).is_new);
        }
        assert_eq!(rules.meet(rule(1 << 20)), Met { id: OVERFLOW, is_new: false });
        assert_eq!((rules.len(), rules.overflowed()), (1 << 16, 1));
    }
}
