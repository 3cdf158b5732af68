//! What makes a runtime's container one of a pod. Pure.
//!
//! The kubelet tells the runtime the names of pod and container in labels that begin with `io.kubernetes.`.

use super::description::{Container, Description};

/// Labels that the kubelet gives to a pod or a container; all others of a pod are the user's.
const POD_NAME: &str = "io.kubernetes.pod.name";
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// The container that only holds the namespaces of its pod.
pub(super) const SANDBOX: &str = "POD";

/// A container's place in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) container: String,
}

impl Place {
    /// By the labels of a container or of its pod; `None` where it is of none. `name` is what the runtime calls the
    /// container.
    pub(super) fn by_labels(labels: &[(String, String)], name: &str) -> Option<Self> {
        let get =
            |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        Some(Self {
            namespace: get(NAMESPACE)?,
            pod: get(POD_NAME)?,
            uid: get(UID).unwrap_or_default(),
            container: get(CONTAINER_NAME).unwrap_or_else(|| name.to_owned()),
        })
    }

    /// By the name that cri-dockerd gives to a container of Docker: `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`. No
    /// image can claim such a name, as it could claim a label.
    pub(super) fn by_docker_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("k8s_")?.split('_');
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        let (container, pod, namespace, uid) = (next()?, next()?, next()?, next()?);
        let attempt = next()?;
        let is_name = attempt.bytes().all(|byte| byte.is_ascii_digit());
        is_name.then_some(Self { namespace, pod, uid, container })
    }

    /// Labels of a container of a pod. `pod_labels` and `annotations` are the pod's.
    pub(super) fn describe(
        &self,
        description: &mut Description,
        container: &Container<'_>,
        pod_labels: &[(String, String)],
        annotations: &[(String, String)],
    ) {
        let Self { namespace, pod, uid, container: name } = self;
        let id = format!("{}://{}", container.runtime, container.id);
        let own = &mut description.discovered.labels;
        for (label, value) in
            [("namespace", namespace), ("pod", pod), ("container", name), ("containerid", &id)]
        {
            own.set(label, value.as_str());
        }
        // The API server's answer has it only among the labels for rules.
        own.set("image", "");
        for (label, value) in [
            ("namespace", namespace.as_str()),
            ("pod_name", pod),
            ("pod_uid", uid),
            ("pod_container_name", name),
            ("pod_container_id", &id),
            ("pod_container_image", container.image),
        ] {
            description.set_meta(format!("__meta_kubernetes_{label}"), value);
        }
        let of_user = |(name, _): &&(String, String)| ![POD_NAME, NAMESPACE, UID].contains(&name.as_str());
        let pod_labels: Vec<_> = pod_labels.iter().filter(of_user).cloned().collect();
        description.add("__meta_kubernetes_pod_label", &pod_labels);
        description.add("__meta_kubernetes_pod_annotation", annotations);
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn names_of_cri_dockerd() {
        let cases = [
            ("k8s_web_web-7d4_default_0123-45_0", Some(("default", "web-7d4", "0123-45", "web"))),
            ("k8s_POD_a_b_c_12", Some(("b", "a", "c", "POD"))),
            ("k8s_web_a_b_c", None),
            ("k8s_web_a_b_c_d", None),
            ("k8s__a_b_c_0", None),
            ("web_a_b_c_d_0", None),
            ("", None),
        ];
        for (name, expected) in cases {
            let place = Place::by_docker_name(name);
            let found =
                place.as_ref().map(|place| (&*place.namespace, &*place.pod, &*place.uid, &*place.container));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn labels_of_the_kubelet() {
        let all = [("pod.name", "a"), ("pod.namespace", "b"), ("pod.uid", "c"), ("container.name", "d")];
        let labels = |count| -> Vec<_> {
            all[..count]
                .iter()
                .map(|(name, value)| (format!("io.kubernetes.{name}"), (*value).into()))
                .collect()
        };
        assert_eq!(Place::by_labels(&labels(1), "x"), None);
        let sandbox = Place::by_labels(&labels(3), "POD").unwrap();
        assert_eq!((&*sandbox.uid, &*sandbox.container), ("c", "POD"));
        assert_eq!(Place::by_labels(&labels(4), "x").unwrap().container, "d");
    }
}
