//! The archive format that a kernel unpacks into its first file system: "new ASCII" cpio, as
//! `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel describes it.

use std::io::{self, Write};

/// File type bits of `st_mode`.
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

/// Name of the entry after the last.
const TRAILER: &str = "TRAILER!!!";

/// Writes entries one after another. A folder comes before what is in it.
pub(super) struct Archive<W> {
    output: W,
    /// Bytes written: headers and contents begin at multiples of 4.
    length: usize,
    /// Each file needs an inode number of its own, or the kernel links it to another.
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, length: 0, inode: 0 }
    }

    /// Adds an empty folder that everyone may enter.
    pub(super) fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, S_IFDIR | 0o755, &[])
    }

    /// Adds a file that everyone may execute.
    pub(super) fn program(&mut self, path: &str, contents: &[u8]) -> io::Result<()> {
        self.entry(path, S_IFREG | 0o755, contents)
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry(TRAILER, 0, &[])?;
        Ok(self.output)
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::FileTooLarge, "the format has 32 bits for a length");
        let size = u32::try_from(contents.len()).map_err(too_long)?;
        let name_size = u32::try_from(path.len() + 1).map_err(too_long)?;
        self.inode += 1;
        let (owner, group, links, modified, device) = (0, 0, 1, 0, [0; 4]);
        let [major, minor, own_major, own_minor] = device;
        let no_checksum = 0;
        let fields = [
            self.inode,
            mode,
            owner,
            group,
            links,
            modified,
            size,
            major,
            minor,
            own_major,
            own_minor,
            name_size,
            no_checksum,
        ];
        self.write(b"070701")?;
        for field in fields {
            self.write(format!("{field:08X}").as_bytes())?;
        }
        self.write(path.as_bytes())?;
        self.write(&[0])?;
        self.pad()?;
        self.write(contents)?;
        self.pad()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len();
        self.output.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let missing = self.length.next_multiple_of(4) - self.length;
        self.write(&[0; 3][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// A folder with files whose names and contents end at every position of a word.
    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.folder("bin").unwrap();
        for length in 0..5 {
            archive.program(&format!("bin/{}", "a".repeat(length + 1)), &vec![b'x'; length]).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn the_layout_is_the_kernels() {
        let archive = archive();
        assert_eq!(archive.len() % 4, 0);
        assert_eq!(&archive[..14], b"07070100000001");
        assert_eq!(&archive[14..22], b"000041ED");
        assert_eq!(&archive[110..114], b"bin\0");
        // The second header follows the first name at once: 110 + 4 is not a multiple of 4, 116 is.
        assert_eq!(&archive[116..122], b"070701");
    }

    #[test]
    fn another_reader_unpacks_what_was_packed() {
        let folder = std::env::temp_dir().join(format!("cpio-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut busybox = Command::new("busybox");
        busybox.args(["cpio", "-i", "-d"]).current_dir(&folder).stdin(Stdio::piped());
        let mut reader = busybox.spawn().unwrap();
        reader.stdin.take().unwrap().write_all(&archive()).unwrap();
        assert!(reader.wait().unwrap().success());
        for length in 0..5 {
            let contents = std::fs::read(folder.join("bin").join("a".repeat(length + 1))).unwrap();
            assert_eq!(contents, vec![b'x'; length]);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
