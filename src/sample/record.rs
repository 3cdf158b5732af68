//! Samples and process events, decoded.

use super::tables::Slot;
use crate::address::{KernelAddress, UserAddress};
use crate::object::{FileOffset, ObjectId};
use crate::process::cgroup::CgroupId;
use crate::process::comm::Comm;
use crate::process::event::{ProcessChange, ProcessEvent};
use crate::process::id::{BootTime, ProcessId, Tgid, ThreadId};
use parca_agent_common::frame::{FramePlace, FrameWord};
use parca_agent_common::record::{
    self, FLAG_KERNEL_THREAD, FLAG_PROCESS_UNKNOWN, ProcessEventKind, SampleHeader,
};
use parca_agent_common::unwind::StackEnd;

/// A user frame as the kernel side told it. A frame above the leaf is at the call, not behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserFrame {
    /// An address whose mapping is yet to be found.
    Address(UserAddress),
    /// A place in a file.
    Object(ObjectId, FileOffset),
}

/// One sample, or several equal ones, as the kernel sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSample {
    /// When it was taken; for equal samples counted together, when they were drained.
    pub time: BootTime,
    /// The process. Its start is 0 where the kernel tells no offsets.
    pub process: ProcessId,
    /// The thread.
    pub thread: ThreadId,
    /// Name of the thread.
    pub comm: Comm,
    /// Its cgroup.
    pub cgroup: CgroupId,
    /// It is a thread of the kernel.
    pub kernel_thread: bool,
    /// Kernel frames, leaf first; all but the first are return addresses.
    pub kernel_stack: Vec<KernelAddress>,
    /// User frames, leaf first.
    pub user_stack: Vec<UserFrame>,
    /// Why there are no more of them.
    pub user_end: StackEnd,
    /// Some frame was reached through a frame pointer where no table says that there is one.
    pub guessed: bool,
    /// The kernel side did not know the process, or not all of its mappings.
    pub unknown_process: bool,
    /// How often it was seen.
    pub count: u64,
    /// How many samples each of these stands for, because few of the process are kept.
    pub weight: u16,
}

impl RawSample {
    /// Decodes a record of the sample ring; `None` if it is not one. `object_of` knows the objects of slots.
    pub fn decode(bytes: &[u8], object_of: &dyn Fn(Slot) -> Option<ObjectId>) -> Option<Self> {
        let (header, rest) = SampleHeader::split(bytes)?;
        let (kernel, user) = (usize::from(header.kernel_frames), usize::from(header.user_frames));
        let (words, _) = rest.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        if words.len() < kernel + user {
            return None;
        }
        let mut user_end = u8::try_from(header.user_end).ok().and_then(|end| StackEnd::try_from(end).ok())?;
        let kernel_stack = words.by_ref().take(kernel).map(KernelAddress).collect();
        let words: Vec<_> = words.take(user).map(FrameWord).collect();
        let user_frame = |word: &FrameWord| match word.place()? {
            FramePlace::Address(address) => Some(UserFrame::Address(UserAddress(address))),
            FramePlace::Object { slot, offset } => {
                Some(UserFrame::Object(object_of(Slot(slot))?, FileOffset(offset)))
            }
        };
        let user_stack: Vec<_> = words.iter().map_while(user_frame).collect();
        if user_stack.len() < user {
            user_end = StackEnd::NoMapping; // the object was forgotten while the sample was on its way
        }
        Some(Self {
            time: BootTime { nanos: header.boot_time },
            process: ProcessId { tgid: Tgid(header.tgid), start: BootTime { nanos: header.process_start } },
            thread: ThreadId(header.tid),
            comm: Comm::new(&header.comm),
            cgroup: CgroupId(header.cgroup_id),
            kernel_thread: header.flags & FLAG_KERNEL_THREAD != 0,
            kernel_stack,
            user_stack,
            user_end,
            guessed: words.iter().any(|word| word.is_guessed()),
            unknown_process: header.flags & FLAG_PROCESS_UNKNOWN != 0,
            count: 1,
            weight: header.weight.max(1),
        })
    }
}

/// Decodes a record of the event ring; `None` if it is not one.
pub fn decode_process_event(bytes: &[u8]) -> Option<ProcessEvent> {
    let event = record::ProcessEvent::decode(bytes)?;
    let id = |tgid, start| ProcessId { tgid: Tgid(tgid), start: BootTime { nanos: start } };
    Some(ProcessEvent {
        time: BootTime { nanos: event.boot_time },
        process: id(event.tgid, event.process_start),
        comm: Comm::new(&event.comm),
        change: match ProcessEventKind::try_from(event.kind).ok()? {
            ProcessEventKind::Exec => ProcessChange::Exec,
            ProcessEventKind::Exit => ProcessChange::Exit,
            ProcessEventKind::Fork => {
                ProcessChange::Fork { parent: id(event.parent_tgid, event.parent_start) }
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{RawSample, UserFrame, decode_process_event};
    use crate::address::{KernelAddress, UserAddress};
    use crate::object::{FileOffset, ObjectId};
    use crate::sample::tables::Slot;
    use parca_agent_common::frame::FrameWord;
    use parca_agent_common::unwind::StackEnd;

    /// Slot 5 holds object 7, others none.
    fn decode(bytes: &[u8]) -> Option<RawSample> {
        RawSample::decode(bytes, &|slot| (slot == Slot(5)).then_some(ObjectId(7)))
    }

    /// Bytes of a sample with the given counts in its header and the given number of words behind it.
    fn sample(kernel: u16, user: u16, words: u64) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[40..42].copy_from_slice(&kernel.to_le_bytes());
        bytes[42..44].copy_from_slice(&user.to_le_bytes());
        bytes[48..52].copy_from_slice(b"comm");
        bytes.extend((1..=words).flat_map(u64::to_le_bytes));
        bytes
    }

    #[test]
    fn kernel_frames_come_before_user_frames() {
        let sample = decode(&sample(2, 1, 3)).unwrap();
        assert_eq!(sample.kernel_stack, [KernelAddress(1), KernelAddress(2)]);
        assert_eq!(sample.user_stack, [UserFrame::Address(UserAddress(3))]);
        assert_eq!(sample.comm.as_bytes(), b"comm");
    }

    #[test]
    fn a_sample_stands_for_itself_at_least() {
        for (weight, expected) in [(0_u16, 1), (1, 1), (500, 500)] {
            let mut bytes = sample(0, 0, 0);
            bytes[46..48].copy_from_slice(&weight.to_le_bytes());
            assert_eq!(decode(&bytes).unwrap().weight, expected);
        }
    }

    #[test]
    fn a_frame_in_a_file_names_its_object_and_a_forgotten_one_ends_the_stack() {
        let mut bytes = sample(0, 3, 0);
        for word in [FrameWord::object(5, 0x123).marked(true), FrameWord::address(9), FrameWord::object(6, 1)]
        {
            bytes.extend(word.0.to_le_bytes());
        }
        let sample = decode(&bytes).unwrap();
        let frames = [UserFrame::Object(ObjectId(7), FileOffset(0x123)), UserFrame::Address(UserAddress(9))];
        assert_eq!((&sample.user_stack[..], sample.user_end), (&frames[..], StackEnd::NoMapping));
        assert!(sample.guessed);
    }

    #[test]
    fn a_record_shorter_than_it_says_is_refused() {
        assert_eq!(decode(&sample(2, 2, 3)), None);
        for length in 0..64 {
            assert_eq!(decode(&sample(0, 0, 0)[..length]), None);
        }
    }

    #[test]
    fn an_unknown_process_event_is_refused() {
        assert_eq!(decode_process_event(&[0xff; 56]), None);
    }
}
