//! The tree of calls in a report: stacks merged from their roots.

use super::names::NameId;
use std::collections::HashMap;

/// A node of one [`CallTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeId(usize);

/// A function under one chain of callers.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `None` for the root, which stands for everything.
    pub(super) name: Option<NameId>,
    /// Samples in it and below.
    pub(super) total: u64,
    /// Samples in it alone.
    pub(super) own: u64,
    children: Vec<NodeId>,
}

/// Stacks as a tree.
#[derive(Debug)]
pub(super) struct CallTree {
    nodes: Vec<Node>,
    edges: HashMap<(NodeId, NameId), NodeId>,
}

impl Default for CallTree {
    fn default() -> Self {
        let root = Node { name: None, total: 0, own: 0, children: Vec::new() };
        Self { nodes: vec![root], edges: HashMap::new() }
    }
}

/// The node that stands for everything.
pub(super) const ROOT: NodeId = NodeId(0);

impl CallTree {
    /// Adds a stack, root first.
    pub(super) fn add(&mut self, stack: impl IntoIterator<Item = NameId>, samples: u64) {
        let mut at = ROOT;
        self.count(at, samples);
        for name in stack {
            at = self.child(at, name);
            self.count(at, samples);
        }
        if let Some(node) = self.nodes.get_mut(at.0) {
            node.own += samples;
        }
    }

    /// A node.
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// Its children with at least `threshold` samples, the largest first; and how many others there are,
    /// and their samples.
    pub(super) fn children(&self, id: NodeId, threshold: u64) -> (Vec<NodeId>, Folded) {
        let mut folded = Folded::default();
        let mut shown = Vec::new();
        for child in self.node(id).map_or(&[][..], |node| &node.children) {
            let total = self.total(*child);
            if total >= threshold {
                shown.push(*child);
            } else {
                folded.add(total);
            }
        }
        shown.sort_by_key(|child| std::cmp::Reverse(self.total(*child)));
        (shown, folded)
    }

    /// Samples in a node and below.
    pub(super) fn total(&self, id: NodeId) -> u64 {
        self.node(id).map_or(0, |node| node.total)
    }

    fn count(&mut self, id: NodeId, samples: u64) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.total += samples;
        }
    }

    fn child(&mut self, parent: NodeId, name: NameId) -> NodeId {
        if let Some(child) = self.edges.get(&(parent, name)) {
            return *child;
        }
        let child = NodeId(self.nodes.len());
        self.nodes.push(Node { name: Some(name), total: 0, own: 0, children: Vec::new() });
        self.edges.insert((parent, name), child);
        if let Some(node) = self.nodes.get_mut(parent.0) {
            node.children.push(child);
        }
        child
    }
}

/// Nodes that are not shown one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded {
    /// How many.
    pub(super) nodes: usize,
    /// Their samples.
    pub(super) samples: u64,
}

impl Folded {
    /// Adds a node and what is below it.
    pub(super) fn add(&mut self, samples: u64) {
        self.nodes += 1;
        self.samples += samples;
    }
}

#[cfg(test)]
mod tests {
    use super::{CallTree, Folded, ROOT};
    use crate::http::frame_name::FrameName;
    use crate::http::names::Names;

    #[test]
    fn stacks_merge_from_the_root() {
        let mut names = Names::default();
        let [main, a, b] = ["main", "a", "b"]
            .map(|name| names.intern(FrameName { function: name.to_owned(), binary: String::new() }));
        let mut tree = CallTree::default();
        tree.add([main, a, a], 5);
        tree.add([main, b], 90);
        tree.add([main], 1);
        tree.add([b], 4);
        assert_eq!(tree.total(ROOT), 100);
        let (top, folded) = tree.children(ROOT, 5);
        assert_eq!(folded, Folded { nodes: 1, samples: 4 });
        let main_node = tree.node(top[0]).unwrap();
        assert_eq!((main_node.name, main_node.total, main_node.own), (Some(main), 96, 1));
        let (below, folded) = tree.children(top[0], 1);
        assert_eq!(below.iter().map(|id| tree.total(*id)).collect::<Vec<_>>(), [90, 5]);
        assert_eq!(folded, Folded::default());
    }
}
