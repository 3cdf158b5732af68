//! What Podman tells of a container, by its own API: the one it has of Docker does not tell of pods.

use super::description::{Container, Description};
use super::engine_api::{Client, Config, pairs};
use super::error::AskError;
use serde::Deserialize;

/// Prefix of its containers' ids, and part of their `__meta_*` labels.
const NAME: &str = "podman";

/// The answer to `GET /libpod/containers/ID/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    image_name: String,
    /// The id of its pod; empty if it is in none.
    #[serde(default)]
    pod: String,
    #[serde(default)]
    config: Config,
}

/// The answer to `GET /libpod/pods/ID/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pod {
    #[serde(default)]
    name: String,
}

/// Asks for one container; `None` if Podman does not know it.
pub(super) async fn ask(
    client: &mut Client,
    version: &str,
    id: &str,
) -> Result<Option<Description>, AskError> {
    let path = format!("/v{version}/libpod/containers/{id}/json");
    let answer: Option<Inspected> = client.json(&path, "container").await?;
    let Some(inspected) = answer.filter(|inspected| inspected.id == id) else { return Ok(None) };
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let pod = if is_id(&inspected.pod) {
        let path = format!("/v{version}/libpod/pods/{}/json", inspected.pod);
        // Without the pod's name the container still has its own.
        client.json::<Pod>(&path, "pod").await.ok().flatten()
    } else {
        None
    };
    Ok(Some(inspected.describe(pod)))
}

impl Inspected {
    fn describe(self, pod: Option<Pod>) -> Description {
        let image =
            if self.image_name.is_empty() { self.config.image.unwrap_or_default() } else { self.image_name };
        let labels = pairs(self.config.labels);
        let container = Container { runtime: NAME, id: &self.id, name: &self.name, image: &image, labels };
        let mut description = Description::of(&container, NAME);
        if let Some(pod) = pod {
            description.set_meta("__meta_podman_pod_name", &pod.name);
        }
        description
    }
}

#[cfg(test)]
mod tests {
    use super::{Inspected, Pod};

    #[test]
    fn a_container_has_these_labels() {
        let json = r#"{"Id":"ab","Name":"web","ImageName":"localhost/nginx:1","Pod":"cd","State":{"Pid":1},
            "Config":{"Image":"x","Labels":{"a.b/c":"d"}}}"#;
        let inspected: Inspected = serde_json::from_str(json).unwrap();
        let discovered = inspected.describe(Some(Pod { name: "shop".to_owned() })).discovered;
        assert_eq!(
            discovered.labels.to_string(),
            r#"{container="web",containerid="podman://ab",image="localhost/nginx:1"}"#
        );
        assert_eq!(
            discovered.meta.to_string(),
            concat!(
                r#"{__meta_podman_container_id="ab",__meta_podman_container_image="localhost/nginx:1","#,
                r#"__meta_podman_container_label_a_b_c="d",__meta_podman_container_labelpresent_a_b_c="true","#,
                r#"__meta_podman_container_name="web",__meta_podman_pod_name="shop"}"#
            )
        );
    }
}
