//! One upload of debug information.

use crate::peer::Peer;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// An upload that was announced.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Upload {
    /// The server's name of it.
    pub upload_id: String,
    /// As announced.
    pub build_id: String,
    /// One of `unknown`, `gnu`, `hash`, `go`.
    pub build_id_type: &'static str,
    /// One of `debuginfo`, `executable`, `sources`.
    pub r#type: &'static str,
    /// As announced.
    pub hash: String,
    /// As announced, in bytes.
    pub declared: u64,
    /// What came, in bytes.
    pub size: u64,
    /// Of what came, in hexadecimal digits; empty until all came.
    pub sha256: String,
    /// Where it is kept.
    pub path: Option<PathBuf>,
    /// How it came: `grpc`, `put`, or not yet.
    pub by: &'static str,
    /// Whether the client said that it is complete.
    pub finished: bool,
}

impl Upload {
    /// Whether all of it came.
    pub fn is_complete(&self) -> bool {
        !self.sha256.is_empty()
    }
}

/// Takes the bytes of an upload.
pub(crate) struct Sink<'a> {
    peer: &'a Peer,
    upload_id: String,
    file: Option<File>,
    path: Option<PathBuf>,
    digest: Sha256,
    size: u64,
}

impl<'a> Sink<'a> {
    pub(crate) fn create(peer: &'a Peer, upload_id: &str) -> io::Result<Self> {
        let path = peer.directory.as_ref().map(|directory| directory.join(upload_id));
        let file = path.as_ref().map(File::create).transpose()?;
        Ok(Self { peer, upload_id: upload_id.to_owned(), file, path, digest: Sha256::new(), size: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// Notes that all came, and compares it with what was announced.
    pub(crate) fn finish(self, by: &'static str) -> u64 {
        let sha256: String = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut record = self.peer.record();
        let mut faults = Vec::new();
        if let Some(upload) = record.uploads.iter_mut().find(|upload| upload.upload_id == self.upload_id) {
            if self.size != upload.declared {
                faults.push(format!("{} bytes where {} were announced", self.size, upload.declared));
            }
            // A hash of another kind cannot be compared.
            if upload.hash.len() == sha256.len() && upload.hash != sha256 {
                faults.push(format!("SHA-256 {sha256} where {} was announced", upload.hash));
            }
            (upload.size, upload.sha256, upload.path, upload.by) = (self.size, sha256, self.path, by);
        }
        for fault in faults {
            record.violation(format!("upload {}: {fault}", self.upload_id));
        }
        self.size
    }
}
