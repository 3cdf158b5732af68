//! A file system in user space with one file, which can fall silent at will, as one of a stranger's can.
//! Speaks just enough of the kernel's protocol (`linux/fuse.h`, version 7.31) to run a program from it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// The node of the file; 1 is the root's.
const FILE_NODE: u64 = 2;

/// The mounted file system; unmounted at the end, which also frees whoever waits for it.
pub(crate) struct Fuse {
    folder: TempDir,
    silent: Arc<AtomicBool>,
}

impl Fuse {
    /// Mounts it, with contents for its file. Nothing where the kernel has no FUSE.
    pub(crate) fn mount(contents: Vec<u8>) -> Option<Self> {
        let kernel = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let folder = tempfile::tempdir().unwrap();
        // mount finds the descriptor as its standard input.
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other", "test"])
            .arg(folder.path())
            .stdin(kernel.try_clone().unwrap())
            .status()
            .unwrap();
        assert!(mounted.success(), "cannot mount");
        let silent = Arc::new(AtomicBool::new(false));
        let server = Server { kernel, contents, silent: Arc::clone(&silent) };
        std::thread::spawn(move || server.serve());
        Some(Self { folder, silent })
    }

    /// Path of the file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    /// From now on every request waits for ever.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        // Forced: it ends the requests that wait.
        let _ = Command::new("umount").args(["-i", "-f", "-l"]).arg(self.folder.path()).status();
    }
}

struct Server {
    kernel: File,
    contents: Vec<u8>,
    silent: Arc<AtomicBool>,
}

impl Server {
    fn serve(mut self) {
        let mut request = vec![0; 1 << 18];
        while let Ok(length) = self.kernel.read(&mut request) {
            if self.silent.load(Ordering::SeqCst) {
                continue;
            }
            let number = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
            let opcode = u32::from_le_bytes(request[4..8].try_into().unwrap());
            let (unique, node) = (number(8), number(16));
            let body = &request[40..length];
            // Errors are negative: ENOENT and ENOSYS.
            let reply = match opcode {
                // FORGET, INTERRUPT and BATCH_FORGET want no reply.
                2 | 36 | 42 => continue,
                1 if body == b"program\0" => Ok(self.entry()),
                1 => Err(-2_i32),
                3 => Ok([vec![0; 16], self.attributes(node)].concat()),
                14 | 27 => Ok(vec![0; 16]),
                15 => Ok(self.part(number(40 + 8), number(40 + 16) & 0xffff_ffff)),
                18 | 25 | 29 => Ok(Vec::new()),
                26 => Ok(init()),
                _ => Err(-38),
            };
            let (error, payload) = match reply {
                Ok(payload) => (0, payload),
                Err(error) => (error, Vec::new()),
            };
            let mut message = (16 + payload.len() as u32).to_le_bytes().to_vec();
            message.extend(error.to_le_bytes());
            message.extend(unique.to_le_bytes());
            message.extend(payload);
            // The request may have been given up meanwhile.
            let _ = self.kernel.write(&message);
        }
    }

    fn part(&self, offset: u64, size: u64) -> Vec<u8> {
        let start = self.contents.len().min(offset as usize);
        let end = self.contents.len().min((offset + size) as usize);
        self.contents[start..end].to_vec()
    }

    /// Valid for no time: the kernel asks again for every use.
    fn entry(&self) -> Vec<u8> {
        let mut entry = FILE_NODE.to_le_bytes().to_vec();
        entry.resize(40, 0);
        entry.extend(self.attributes(FILE_NODE));
        entry
    }

    fn attributes(&self, node: u64) -> Vec<u8> {
        let (size, mode) =
            if node == FILE_NODE { (self.contents.len() as u64, 0o100_755) } else { (0, 0o040_755_u32) };
        let mut attributes: Vec<u8> =
            [node, size, size.div_ceil(512), 0, 0, 0].map(u64::to_le_bytes).concat();
        attributes.extend([0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_le_bytes).concat());
        attributes
    }
}

fn init() -> Vec<u8> {
    let mut reply = [7, 31, 65_536, 0].map(u32::to_le_bytes).concat();
    reply.extend([16_u16, 12].map(u16::to_le_bytes).concat());
    reply.extend([65_536_u32, 1].map(u32::to_le_bytes).concat());
    reply.resize(64, 0);
    reply
}
