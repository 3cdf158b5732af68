//! Names that a profiled process chooses, as they reach pages, JSON and metrics.

use crate::client::get;
use crate::server::start;

/// Attributes that no page has; foreign text must not add them.
const ATTRIBUTES: [&str; 4] = ["onload", "onerror", "onclick", "style"];

#[test]
fn hostile_names_stay_text_on_pages() {
    let server = start();
    for target in ["/", "/query?latest=1&debug=1&query={cgroup=\"/user.slice\"}"] {
        let page = get(server.address, target).text();
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{target}");
        assert!(page.contains(r"\\xff") && page.contains(r"line\n"), "{target}");
        assert!(!page.contains("<script>") && !page.contains("<img"), "{target}");
        // Line feeds are the server's own, after the document type only.
        assert_eq!(page.matches('\n').count(), 1, "{target}");
        for tag in page.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap();
            let outside: String = tag.split('"').step_by(2).collect();
            for attribute in ATTRIBUTES {
                assert!(!outside.contains(attribute), "{target}: {tag}");
            }
        }
    }
}

#[test]
fn a_hostile_path_stays_text_in_the_function_table() {
    let server = start();
    let page = get(server.address, "/query?latest=1&debug=1&query={cgroup=\"/user.slice\"}").text();
    assert!(page.contains(r"/tmp/&lt;img src=x&gt;\n\xff.so"), "{page}");
}

#[test]
fn hostile_names_survive_json() {
    let server = start();
    let body: serde_json::Value =
        serde_json::from_slice(&get(server.address, "/api/v1/targets").body).unwrap();
    let comms: Vec<&str> = body["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|target| target["labels"]["comm"].as_str())
        .collect();
    for name in crate::window::HOSTILE {
        assert!(comms.contains(&name), "{name}");
    }
}
