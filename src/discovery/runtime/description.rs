//! A container's labels from what its runtime told. Pure.

use crate::discovery::target::Discovered;
use crate::label::sanitize_label_name;

/// Longest label of a container, or annotation of a pod, that is taken. What people select by is short; the
/// annotation by which `kubectl apply` keeps a whole manifest is not.
const MAX_VALUE: usize = 4096;
/// Longest name of one. Kubernetes allows 253 bytes of prefix and 63 of name.
const MAX_NAME: usize = 512;
/// Labels, or annotations, of one container.
const MAX_PAIRS: usize = 256;
/// Bytes of all of them.
const MAX_BYTES: usize = 32 << 10;

/// What is to be known of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) discovered: Discovered,
    /// Labels and annotations that were too many or too long.
    pub(super) dropped: u64,
}

/// What every runtime tells of a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Container<'a> {
    /// The prefix of its id.
    pub(super) runtime: &'a str,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// As the user named it.
    pub(super) image: &'a str,
    pub(super) labels: Vec<(String, String)>,
}

impl Description {
    /// A container of a runtime, whose `__meta_*` labels begin with `__meta_RUNTIME_`.
    pub(super) fn of(container: &Container<'_>, meta_runtime: &str) -> Self {
        let Container { runtime, id, name, image, labels } = container;
        let id = format!("{runtime}://{id}");
        let prefix = format!("__meta_{meta_runtime}_container");
        let mut description = Self::default();
        let Discovered { labels: own, meta } = &mut description.discovered;
        for (label, value) in [("container", *name), ("containerid", &id), ("image", *image)] {
            own.set(label, value);
        }
        for (label, value) in [("id", container.id), ("name", *name), ("image", *image)] {
            meta.set(format!("{prefix}_{label}"), value);
        }
        description.add(&format!("{prefix}_label"), labels);
        description
    }

    /// Adds labels or annotations, each as `PREFIX_NAME` with its value and `PREFIXpresent_NAME` with `true`.
    pub(super) fn add(&mut self, prefix: &str, pairs: &[(String, String)]) {
        // In the order of names, so that the same are kept each time.
        let mut pairs: Vec<_> = pairs.iter().collect();
        pairs.sort();
        let (mut count, mut bytes) = (0, 0);
        for (name, value) in pairs {
            let size = name.len() + value.len();
            if value.len() > MAX_VALUE
                || name.len() > MAX_NAME
                || count == MAX_PAIRS
                || bytes + size > MAX_BYTES
            {
                self.dropped += 1;
                continue;
            }
            (count, bytes) = (count + 1, bytes + size);
            let name = sanitize_label_name(name);
            let meta = &mut self.discovered.meta;
            meta.set(format!("{prefix}_{name}"), value);
            meta.set(format!("{prefix}present_{name}"), "true");
        }
    }

    /// Names and values that are wanted only where they are told.
    pub(super) fn set_meta(&mut self, name: impl AsRef<str>, value: &str) {
        self.discovered.meta.set(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::{Container, Description, MAX_BYTES, MAX_PAIRS, MAX_VALUE};

    fn with(labels: Vec<(String, String)>) -> Description {
        let container = Container { runtime: "docker", id: "0", name: "web", image: "nginx", labels };
        Description::of(&container, "docker")
    }

    fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn names_are_made_valid_and_an_empty_value_is_present() {
        let description = with(vec![pair("a.b/c", "1"), pair("Ünï", "2"), pair("empty", "")]);
        assert_eq!(
            description.discovered.labels.to_string(),
            r#"{container="web",containerid="docker://0",image="nginx"}"#
        );
        let meta = description.discovered.meta;
        let get = |name: &str| meta.get(&format!("__meta_docker_container_{name}"));
        assert_eq!((get("label_a_b_c"), get("labelpresent_a_b_c")), (Some("1"), Some("true")));
        assert_eq!(get("label__n_"), Some("2"));
        assert_eq!((get("label_empty"), get("labelpresent_empty")), (None, Some("true")));
    }

    #[test]
    fn labels_are_bounded_in_number_and_size_and_the_rest_is_counted() {
        let many = (0..MAX_PAIRS + 3).map(|index| pair(index.to_string(), "x")).collect();
        let large = (0..20).map(|index| pair(index.to_string(), "x".repeat(MAX_VALUE))).collect();
        let cases: [(Vec<_>, u64); 3] =
            [(many, 3), (large, 13), (vec![pair("a", "x".repeat(10 << 20)), pair("b", "1")], 1)];
        for (labels, dropped) in cases {
            let description = with(labels);
            assert_eq!(description.dropped, dropped);
            assert!(description.discovered.bytes() < 3 * MAX_BYTES);
        }
    }
}
