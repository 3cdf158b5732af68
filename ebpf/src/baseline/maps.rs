//! Every map of this object. Stacks and counts exist twice: the programs fill one pair while the agent
//! drains the other, so that draining never races with counting.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, StackTrace};
use parca_agent_common::counter::Counter;
use parca_agent_common::limits::BASELINE_ENTRIES_MIN;
use parca_agent_common::record::CountKey;
use parca_agent_common::settings::Settings;

/// Counts of one pair. The agent sizes all four maps when it loads the object.
#[map]
pub static COUNTS_0: HashMap<CountKey, u64> = HashMap::with_max_entries(BASELINE_ENTRIES_MIN, 0);
/// The stacks that the counts of the same pair name, 1040 bytes each.
#[map]
pub static STACKS_0: StackTrace = StackTrace::with_max_entries(BASELINE_ENTRIES_MIN, 0);
/// See [`COUNTS_0`].
#[map]
pub static COUNTS_1: HashMap<CountKey, u64> = HashMap::with_max_entries(BASELINE_ENTRIES_MIN, 0);
/// See [`STACKS_0`].
#[map]
pub static STACKS_1: StackTrace = StackTrace::with_max_entries(BASELINE_ENTRIES_MIN, 0);

/// One element: which pair is being filled, 0 or 1.
#[map]
pub static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);

/// One element, written by the agent before it attaches the program.
#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

/// One slot for each [`Counter`].
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the slot belongs to this CPU, and the verifier knows that it is not null.
        unsafe { *slot += 1 }
    }
}
