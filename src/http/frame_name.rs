//! Names of frames on a page: the best that is known of each.

use crate::profile::Window;
use crate::profile::frame::Frame;
use crate::text;

/// What a page writes for a frame. Frames of one name are one function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FrameName {
    /// The function, or the address where it has no name.
    pub(super) function: String,
    /// The file, module or kind of code that holds it; may be empty.
    pub(super) binary: String,
}

impl FrameName {
    /// The name of a frame of this window.
    pub(super) fn of(window: &Window, frame: &Frame) -> Self {
        match frame {
            Frame::Kernel(address) => match window.kernel_symbols.get(address) {
                Some(symbol) => Self {
                    function: symbol.name.to_string(),
                    binary: format!("[{}]", symbol.module.as_deref().unwrap_or("kernel")),
                },
                // The address itself would tell where this kernel was loaded.
                None => Self::new("[unknown]", "[kernel]"),
            },
            Frame::Object { object, offset } => match window.objects.get(object) {
                Some(object) => {
                    let address = object
                        .identified()
                        .and_then(|info| info.address_of(*offset))
                        .map_or(offset.0, |address| address.0);
                    Self {
                        function: format!("{}+{address:#x}", object.name()),
                        binary: text::display(&object.path).to_string(),
                    }
                }
                None => Self { function: format!("{:#x}", offset.0), binary: "[unknown file]".to_owned() },
            },
            Frame::Anonymous { address, .. } => {
                Self { function: format!("[anonymous]+{:#x}", address.0), binary: "[anonymous]".to_owned() }
            }
            Frame::Unresolved(reason) => Self::new(&format!("[{}]", reason.name().replace('_', " ")), ""),
        }
    }

    fn new(function: &str, binary: &str) -> Self {
        Self { function: function.to_owned(), binary: binary.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::FrameName;
    use crate::address::{KernelAddress, UserAddress};
    use crate::object::build_id::{BuildId, BuildIdKind};
    use crate::object::{FileOffset, LoadSegment, Object, ObjectAddress, ObjectId, ObjectInfo, Unidentified};
    use crate::process::id::{BootTime, ProcessId, Tgid};
    use crate::profile::Window;
    use crate::profile::frame::{Frame, Unresolved};
    use crate::symbolize::kernel::KernelSymbol;
    use std::sync::{Arc, OnceLock};
    use std::time::{Duration, UNIX_EPOCH};

    fn object(id: u32, path: &[u8], info: Result<ObjectInfo, Unidentified>) -> (ObjectId, Arc<Object>) {
        let object = Object { id: ObjectId(id), path: path.into(), info: OnceLock::from(info) };
        (ObjectId(id), Arc::new(object))
    }

    fn identified() -> ObjectInfo {
        ObjectInfo {
            build_id: BuildId { kind: BuildIdKind::Gnu, bytes: [1, 2, 3, 4].into() },
            elf_type: 3,
            machine: 62,
            segments: vec![LoadSegment {
                file_offset: FileOffset(0x1000),
                address: ObjectAddress(0x401000),
                file_size: 0x2000,
                memory_size: 0x2000,
                executable: true,
            }],
            making: Default::default(),
        }
    }

    fn window() -> Window {
        let symbol = |name: &str, module: Option<&str>| KernelSymbol {
            name: name.into(),
            module: module.map(Into::into),
            link_address: None,
        };
        Window {
            start: UNIX_EPOCH,
            duration: Duration::from_secs(10),
            period: Duration::from_millis(10),
            stacks: Default::default(),
            objects: [
                object(1, b"/usr/bin/a\xff", Ok(identified())),
                object(2, b"/lib/gone.so", Err(Unidentified::Gone)),
            ]
            .into(),
            kernel_symbols: [
                (KernelAddress(1), symbol("vfs_read", None)),
                (KernelAddress(2), symbol("nft_do_chain", Some("nf_tables"))),
            ]
            .into(),
            profiles: Vec::new(),
        }
    }

    #[test]
    fn each_kind_of_frame_has_its_name() {
        let process = ProcessId { tgid: Tgid(1), start: BootTime::default() };
        let file = |object, offset| Frame::Object { object: ObjectId(object), offset: FileOffset(offset) };
        for (frame, function, binary) in [
            (Frame::Kernel(KernelAddress(1)), "vfs_read", "[kernel]"),
            (Frame::Kernel(KernelAddress(2)), "nft_do_chain", "[nf_tables]"),
            (Frame::Kernel(KernelAddress(3)), "[unknown]", "[kernel]"),
            (file(1, 0x1234), r"a\xff+0x401234", r"/usr/bin/a\xff"),
            (file(1, 0x9234), r"a\xff+0x9234", r"/usr/bin/a\xff"),
            (file(2, 0x1234), "gone.so+0x1234", "/lib/gone.so"),
            (file(9, 0x1234), "0x1234", "[unknown file]"),
            (Frame::Anonymous { process, address: UserAddress(0x7f00) }, "[anonymous]+0x7f00", "[anonymous]"),
            (Frame::Unresolved(Unresolved::ProcessExited), "[process exited]", ""),
        ] {
            let expected = FrameName { function: function.to_owned(), binary: binary.to_owned() };
            assert_eq!(FrameName::of(&window(), &frame), expected);
        }
    }
}
