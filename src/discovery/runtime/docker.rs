//! What Docker tells of a container.

use super::description::{Container, Description};
use super::engine_api::{Client, Config, pairs};
use super::error::AskError;
use super::kubernetes::Place;
use serde::Deserialize;

/// Prefix of its containers' ids, and part of their `__meta_*` labels.
const NAME: &str = "docker";

/// The answer to `GET /containers/ID/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    config: Config,
}

/// Asks for one container; `None` if Docker does not know it.
pub(super) async fn ask(client: &mut Client, id: &str) -> Result<Option<Description>, AskError> {
    let answer: Option<Inspected> = client.json(&format!("/containers/{id}/json"), "container").await?;
    // A container's name may look like the id of another.
    Ok(answer.filter(|inspected| inspected.id == id).map(Inspected::describe))
}

impl Inspected {
    fn describe(self) -> Description {
        let name = self.name.strip_prefix('/').unwrap_or(&self.name);
        let image = self.config.image.unwrap_or_default();
        let labels = pairs(self.config.labels);
        let container = Container { runtime: NAME, id: &self.id, name, image: &image, labels };
        let mut description = Description::of(&container, NAME);
        if let Some(by_name) = Place::by_docker_name(name) {
            let place = Place::by_labels(&container.labels, &by_name.container).unwrap_or(by_name);
            place.describe(&mut description, &container, &[], &[]);
        }
        description
    }
}

/// What happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It was started, or has another name.
    Changed(Box<str>),
    /// It is gone.
    Destroyed(Box<str>),
    /// Something else happened.
    Other,
}

/// Where the events are that matter: `{"type":["container"],"event":["start","rename","destroy"]}`.
pub(super) const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C\
%22event%22%3A%5B%22start%22%2C%22rename%22%2C%22destroy%22%5D%7D";

/// One line of the stream of events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(default)]
    action: String,
    actor: Actor,
}

#[derive(Debug, Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: Box<str>,
}

impl Event {
    /// Reads a line; `None` for what is none.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let Line { action, actor } = serde_json::from_str(&String::from_utf8_lossy(line)).ok()?;
        Some(match action.as_str() {
            "start" | "rename" => Self::Changed(actor.id),
            "destroy" => Self::Destroyed(actor.id),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, Event, Inspected};

    fn described(json: &str) -> String {
        let description = serde_json::from_str::<Inspected>(json).unwrap().describe();
        format!("{}\n{}", description.discovered.labels, description.discovered.meta)
    }

    #[test]
    fn a_container_has_these_labels() {
        let json = r#"{"Id":"ab","Name":"/web","Image":"sha256:1","Config":{"Image":"nginx:1","Labels":{"a.b/c":"d"}}}"#;
        assert_eq!(
            described(json),
            concat!(
                r#"{container="web",containerid="docker://ab",image="nginx:1"}"#,
                "\n",
                r#"{__meta_docker_container_id="ab",__meta_docker_container_image="nginx:1","#,
                r#"__meta_docker_container_label_a_b_c="d",__meta_docker_container_labelpresent_a_b_c="true","#,
                r#"__meta_docker_container_name="web"}"#
            )
        );
    }

    #[test]
    fn a_container_of_cri_dockerd_is_of_a_pod() {
        let json =
            r#"{"Id":"ab","Name":"/k8s_web_web-1_shop_77_0","Config":{"Image":"sha256:1","Labels":null}}"#;
        assert_eq!(
            described(json),
            concat!(
                r#"{container="web",containerid="docker://ab",namespace="shop",pod="web-1"}"#,
                "\n",
                r#"{__meta_docker_container_id="ab",__meta_docker_container_image="sha256:1","#,
                r#"__meta_docker_container_name="k8s_web_web-1_shop_77_0","#,
                r#"__meta_kubernetes_namespace="shop",__meta_kubernetes_pod_container_id="docker://ab","#,
                r#"__meta_kubernetes_pod_container_image="sha256:1",__meta_kubernetes_pod_container_name="web","#,
                r#"__meta_kubernetes_pod_name="web-1",__meta_kubernetes_pod_uid="77"}"#
            )
        );
    }

    #[test]
    fn an_image_cannot_claim_to_be_of_a_pod() {
        let labels = r#"{"io.kubernetes.pod.name":"a","io.kubernetes.pod.namespace":"b"}"#;
        let json = format!(r#"{{"Id":"ab","Name":"/web","Config":{{"Labels":{labels}}}}}"#);
        assert!(described(&json).starts_with(r#"{container="web",containerid="docker://ab"}"#));
    }

    #[test]
    fn little_is_enough() {
        assert!(described(r#"{"Id":"ab"}"#).starts_with(r#"{containerid="docker://ab"}"#));
    }

    #[test]
    fn events() {
        let line = |action| {
            format!(r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"ab","Attributes":{{}}}}}}"#)
        };
        let cases = [
            (line("start"), Some(Event::Changed("ab".into()))),
            (line("rename"), Some(Event::Changed("ab".into()))),
            (line("destroy"), Some(Event::Destroyed("ab".into()))),
            (line("exec_start: sh"), Some(Event::Other)),
            ("{}".to_owned(), None),
            ("nonsense".to_owned(), None),
        ];
        for (line, expected) in cases {
            assert_eq!(Event::read(line.as_bytes()), expected, "{line}");
        }
        assert!(EVENTS.parse::<http::Uri>().is_ok());
    }
}
