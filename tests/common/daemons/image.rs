//! Images that hold one static program, in the form of `docker save`, which all engines read.

use super::run;
use crate::common::compiler;
use crate::common::workload;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image in a file.
pub(crate) struct Image {
    /// As a user names it.
    pub(crate) reference: String,
    pub(super) archive: PathBuf,
}

impl Image {
    /// An image whose only file is a workload, and is executed from `/`.
    pub(crate) fn of(name: &str, folder: &Path) -> Self {
        Self::with(name, &workload::build(name), folder)
    }

    /// An image whose program does nothing, such as Kubernetes wants for the namespaces of a pod.
    pub(super) fn pause(folder: &Path) -> Self {
        let (source, program) = (folder.join("pause.c"), folder.join("pause"));
        std::fs::write(&source, "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n").unwrap();
        let mut command = compiler::C.command();
        command.args(["-static", "-o"]).arg(&program).arg(source);
        compiler::C.run(command);
        Self::with("pause", &program, folder)
    }

    fn with(name: &str, program: &Path, folder: &Path) -> Self {
        let contents = folder.join(format!("{name}.image"));
        std::fs::create_dir_all(contents.join("root")).unwrap();
        std::fs::copy(program, contents.join("root").join(name)).unwrap();
        let tar = |archive: &Path, folder: &Path, files: &[&str]| {
            run(Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(folder).args(files));
        };
        let layer = contents.join("layer.tar");
        tar(&layer, &contents.join("root"), &[name]);
        let digest: String =
            Sha256::digest(std::fs::read(&layer).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        let reference = format!("localhost/{name}:1");
        let config = serde_json::json!({
            "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
            "os": "linux",
            "config": { "Entrypoint": [format!("/{name}")] },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        });
        let manifest = serde_json::json!([
            { "Config": "config.json", "RepoTags": [&reference], "Layers": ["layer.tar"] }
        ]);
        for (file, json) in [("config.json", config), ("manifest.json", manifest)] {
            std::fs::write(contents.join(file), json.to_string()).unwrap();
        }
        let archive = folder.join(format!("{name}.tar"));
        tar(&archive, &contents, &["config.json", "manifest.json", "layer.tar"]);
        Self { reference, archive }
    }
}
