//! Closes a window: raw stacks become frames, and samples are grouped by target. Pure.

use super::collect::{RawStack, RawWindow};
use super::frame::{Frame, Unresolved};
use super::stack::{StackId, StackTable};
use super::{Profile, Sample, SampleCount, Thread};
use crate::address::{KernelAddress, UserAddress};
use crate::discovery::target::Target;
use crate::process::comm::Comm;
use crate::process::id::ProcessId;
use crate::process::image::{AddressSpace, ImageId};
use crate::process::mapping::Place;
use crate::process::table::ImageInfo;
use crate::sample::record::UserFrame;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is known of every image that a window names.
pub type Images = HashMap<(ProcessId, ImageId), ImageInfo>;

/// A window with its frames, before names are joined to it.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The different stacks.
    pub stacks: StackTable,
    /// One profile for each target, in the order of labels.
    pub profiles: Vec<Profile>,
    /// Samples in all profiles.
    pub samples: u64,
    /// Samples that nobody wants.
    pub unwanted: u64,
    /// Samples whose user stack ends early because an address has no mapping, by reason.
    pub unresolved_stacks: BTreeMap<Unresolved, u64>,
}

/// The frames of a stack, leaf first.
#[derive(Debug, Default)]
struct FrameBuffer {
    frames: Vec<Frame>,
}

/// Resolves all samples of a window. `target_of` names the target of a stack; `None` if nobody wants it.
pub fn resolve(
    window: &RawWindow,
    images: &Images,
    mut target_of: impl FnMut(&RawStack, Option<&ImageInfo>) -> Option<Arc<Target>>,
) -> Resolved {
    let mut resolved = Resolved::default();
    let mut by_target: BTreeMap<Arc<Target>, HashMap<(StackId, Thread), u64>> = BTreeMap::new();
    let mut buffer = FrameBuffer::default();
    for (raw, tally) in window.iter() {
        let image = raw.image.and_then(|image| images.get(&(raw.process, image)));
        let Some(target) = target_of(raw, image) else {
            resolved.unwanted += tally.samples;
            continue;
        };
        buffer.fill(raw, image, tally.samples, &mut resolved.unresolved_stacks);
        // The byte bound of the raw window keeps its stacks far below the table's 2^32.
        let Some(stack) = resolved.stacks.intern(&buffer.frames) else { continue };
        *by_target.entry(target).or_default().entry((stack, raw.thread)).or_default() += tally.value;
        resolved.samples += tally.samples;
    }
    resolved.profiles = by_target.into_iter().map(|(target, samples)| profile(target, samples)).collect();
    resolved
}

/// The addresses of a window that have no mapping although their process was read: it mapped code since.
pub fn processes_to_reread(window: &RawWindow, images: &Images) -> Vec<(ProcessId, ImageId)> {
    let mut stale: Vec<_> = window
        .iter()
        .filter_map(|(raw, _)| {
            let key = (raw.process, raw.image?);
            let AddressSpace::Known { mappings, .. } = &images.get(&key)?.address_space else { return None };
            let unmapped = |frame: &UserFrame| match frame {
                UserFrame::Address(address) => mappings.find(*address).is_none(),
                UserFrame::Object(..) => false,
            };
            raw.user.iter().any(unmapped).then_some(key)
        })
        .collect();
    stale.sort_unstable();
    stale.dedup();
    stale
}

fn profile(target: Arc<Target>, samples: HashMap<(StackId, Thread), u64>) -> Profile {
    let mut samples: Vec<_> = samples
        .into_iter()
        .map(|((stack, thread), count)| Sample { stack, thread, count: SampleCount(count) })
        .collect();
    samples.sort_unstable_by_key(|sample| (sample.stack, sample.thread));
    Profile { target, samples }
}

/// The name of the process, or of the sampled thread where nothing better is known.
pub fn process_name(raw: &RawStack, image: Option<&ImageInfo>) -> Comm {
    let comm = image.map(|image| image.comm).filter(|comm| !comm.as_bytes().is_empty());
    let comm = comm.unwrap_or(raw.thread.name);
    if raw.kernel_thread { comm.kernel_thread_family() } else { comm }
}

impl FrameBuffer {
    fn fill(
        &mut self,
        raw: &RawStack,
        image: Option<&ImageInfo>,
        count: u64,
        unresolved: &mut BTreeMap<Unresolved, u64>,
    ) {
        self.frames.clear();
        let kernel = raw.kernel.iter().enumerate();
        self.frames.extend(
            kernel.map(|(depth, address)| Frame::Kernel(KernelAddress(call_address(address.0, depth)))),
        );
        for frame in &raw.user {
            let frame = match frame {
                UserFrame::Object(object, offset) => Frame::Object { object: *object, offset: *offset },
                UserFrame::Address(address) => user_frame(raw.process, *address, image),
            };
            self.frames.push(frame);
            if let Frame::Unresolved(reason) = frame {
                *unresolved.entry(reason).or_default() += count;
                // Without a mapping this frame is no caller of the next: the rest means nothing.
                break;
            }
        }
    }
}

/// A kernel frame above the leaf holds the address to return to, which may lie past the end of the calling
/// function; the byte before it is inside the call instruction.
fn call_address(address: u64, depth: usize) -> u64 {
    if depth == 0 { address } else { address.saturating_sub(1) }
}

fn user_frame(process: ProcessId, address: UserAddress, image: Option<&ImageInfo>) -> Frame {
    let mappings = match image.map(|image| &image.address_space) {
        Some(AddressSpace::Known { mappings, .. }) => mappings,
        Some(AddressSpace::Gone) => return Frame::Unresolved(Unresolved::ProcessExited),
        Some(
            AddressSpace::Unread
            | AddressSpace::Requested
            | AddressSpace::Refused
            | AddressSpace::Unwanted { .. },
        )
        | None => {
            return Frame::Unresolved(Unresolved::Overloaded);
        }
    };
    match mappings.find(address) {
        Some(Place::Object(object, offset)) => Frame::Object { object, offset },
        Some(Place::Anonymous) => Frame::Anonymous { process, address },
        None => Frame::Unresolved(Unresolved::NoMapping),
    }
}
