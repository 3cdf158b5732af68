//! Unwinds the user stack of the current task: one frame after the other is looked up, written down and
//! left for its caller.

use crate::address_space::{self, Walk};
use crate::lookup::{Search, contains, find_mapping, find_rule};
use crate::maps::{FRAME_SLOTS, PROCESSES, SCRATCH, SampleRecord, TABLES_GENERATION, UNWINDER};
use crate::place_cache::{Found, Meaning, PlaceCache};
use crate::replacement::is_current;
use crate::task::Task;
use crate::user_registers::UserRegisters;
use crate::window::Window;
use core::ffi::c_void;
use core::hint::black_box;
use parca_agent_common::frame::FrameWord;
use parca_agent_common::table::{MEMORY_PAGE_SHIFT, MappingEntry, NO_OBJECT, PAGE_COUNT_BITS, Run};
use parca_agent_common::unwind::StackEnd;
use parca_agent_common::unwind::rule::{Cfa, Rule};

#[cfg(bpf_target_arch = "aarch64")]
use parca_agent_common::unwind::aarch64::Registers;
#[cfg(bpf_target_arch = "x86_64")]
use parca_agent_common::unwind::x86_64::Registers;

/// A stack being unwound.
#[repr(C)]
pub struct Unwinder {
    /// The frame that has been reached.
    pub registers: Registers,
    /// As the task entered the kernel, or was interrupted.
    pub entry: UserRegisters,
    /// The process's mappings; none if it is not known.
    pub mappings: Run,
    /// The mapping of the last frame: the next one is in the same more often than not.
    last: MappingEntry,
    /// Frames written down.
    pub frames: u32,
    /// Why there are no more: a [`StackEnd`].
    pub end: u32,
    /// The frame was reached through a frame pointer where no table says that there is one.
    guessed: u32,
    /// The process is known.
    known: u32,
    /// Which mappings are not among those that the agent published: [`LAST`], [`SOME`].
    news: u32,
    search: Search,
    walk: Walk,
    /// Of addresses of this process, now.
    meaning: Meaning,
    /// Where the frame is. It is here and not passed about, for there it were without a value where there is none,
    /// and the compiler may keep that in a register, which the verifier does not allow.
    found: Found,
    places: PlaceCache,
    window: Window,
}

/// A frame that a frame pointer was followed from is at most this large: a guess that goes further is taken
/// to be none. The largest that compilers make for real programs are some hundred KiB.
const LARGEST_GUESSED_FRAME: u64 = 1 << 20;

/// In [`Unwinder::news`]: the mapping of the last frame.
const LAST: u32 = 1;
/// In [`Unwinder::news`]: that of some frame.
const SOME: u32 = 2;

impl Unwinder {
    /// Prepares for the stack of a process, whose registers are in place.
    #[inline(always)]
    pub fn begin(&mut self, tgid: u32, process_start: u64) {
        self.frames = 0;
        self.end = StackEnd::DepthLimit as u32;
        self.guessed = 0;
        self.last.pages = 0;
        self.window.clear();
        self.known = 0;
        self.news = 0;
        self.mappings.count = 0;
        // SAFETY: an entry that is replaced meanwhile is another whole entry of the same process id, which the
        // start time and the owner mark tell apart.
        let Some(process) = (unsafe { PROCESSES.get(tgid) }) else { return };
        if process.start == process_start && is_current(process, tgid) {
            let generation = TABLES_GENERATION.get(0).copied().unwrap_or_default();
            self.mappings = process.mappings;
            self.meaning = Meaning::new(process.owner, generation);
            self.known = 1;
        }
    }

    /// Whether the agent should read the process, for the first time or again.
    #[inline(always)]
    pub fn wants_reading(&self) -> bool {
        self.known == 0 || self.news != 0
    }

    /// Takes one frame; false when there are no more.
    #[inline(always)]
    fn take_frame(&mut self, record: &mut SampleRecord) -> bool {
        let pc = self.registers.lookup_pc();
        let guessed = self.guessed != 0;
        let placed = self.place(pc);
        let word = self.found.word;
        let index =
            black_box(u32::from(record.header.kernel_frames) + self.frames) as usize & (FRAME_SLOTS - 1);
        // SAFETY: the mask keeps the index within the frames.
        unsafe { *record.frames.get_unchecked_mut(index) = word.marked(guessed).0 };
        self.frames += 1;
        match placed.and_then(|()| self.step(self.found.rule, self.found.distance)) {
            Ok(()) => true,
            Err(end) => {
                self.end = end as u32;
                false
            }
        }
    }

    /// Finds where an address is, and the rule that leads to the caller.
    #[inline(always)]
    fn place(&mut self, pc: u64) -> Result<(), StackEnd> {
        if self.known == 0 {
            return self.find(pc);
        }
        if let Some(found) = self.places.get(pc, self.meaning) {
            self.found = found;
            return Ok(());
        }
        self.find(pc)?;
        // What is not published may change without a sign.
        if self.news & LAST == 0 {
            self.places.set(pc, self.meaning, self.found);
        }
        Ok(())
    }

    /// The same, by the tables.
    #[inline(always)]
    fn find(&mut self, pc: u64) -> Result<(), StackEnd> {
        // The box keeps the compiler from a call that clears memory, which would be a program without type information.
        self.found = Found::new(FrameWord::address(pc), Rule::UNCOVERED, black_box(0));
        if self.known == 0 && !address_space::is_known() {
            return Ok(());
        }
        if !contains(&self.last, pc) {
            let published = match self.known {
                0 => None,
                _ => find_mapping(&mut self.search, self.mappings, pc),
            };
            let mapping = match published {
                Some(mapping) => {
                    self.news &= !LAST;
                    mapping
                }
                None => {
                    // Of a process that was not read, or mapped it since.
                    self.news = LAST | SOME;
                    self.walk.find(Task::current(), pc).ok_or(StackEnd::NoMapping)?
                }
            };
            self.last.pages = mapping.pages;
            self.last.slot = mapping.slot;
            self.last.file_page = mapping.file_page;
        }
        if self.last.slot == NO_OBJECT {
            return Ok(());
        }
        let start = (self.last.pages >> PAGE_COUNT_BITS) << MEMORY_PAGE_SHIFT;
        let offset = (u64::from(self.last.file_page) << MEMORY_PAGE_SHIFT) + (pc - start);
        let (rule, distance) = find_rule(&mut self.search, self.last.slot, offset);
        // What a handler returns to was not called: its first instruction is the place, not the one before.
        let is_signal = rule.kind == Cfa::Signal as u8;
        let place = if is_signal { offset + (self.registers.pc - pc) } else { offset };
        self.found = Found::new(FrameWord::object(self.last.slot, place), rule, distance);
        Ok(())
    }

    /// Goes to the caller, by the frame pointer where no table says how.
    #[inline(always)]
    fn step(&mut self, rule: Rule, distance: u32) -> Result<(), StackEnd> {
        let uncovered = rule.kind == Cfa::Uncovered as u8;
        self.guessed = u32::from(uncovered);
        if uncovered {
            let size = self.registers.fp.wrapping_sub(self.registers.sp);
            if self.registers.fp != 0 && size > LARGEST_GUESSED_FRAME {
                return Err(StackEnd::NoTable);
            }
        }
        let rule = if uncovered { Rule::FRAME_POINTER } else { rule };
        self.registers.step(rule, distance, &mut self.window).map_err(|end| match end {
            // Where the pointer leads is no frame: then it is no frame pointer.
            StackEnd::NotAscending | StackEnd::UnreadableStack if uncovered => StackEnd::NoTable,
            end => end,
        })
    }
}

/// One turn of `bpf_loop`: 0 to go on, 1 to end.
#[inline(never)]
pub extern "C" fn take_one_frame(_index: u32, _context: *mut c_void) -> i64 {
    i64::from(!take_next())
}

/// Takes one frame of this CPU's stack; false when there are no more.
#[inline(always)]
pub fn take_next() -> bool {
    let Some(unwinder) = UNWINDER.get_ptr_mut(0) else { return false };
    let Some(record) = SCRATCH.get_ptr_mut(0) else { return false };
    // SAFETY: both are this CPU's own, and nothing interrupts this program to use them too.
    let (unwinder, record) = unsafe { (&mut *unwinder, &mut *record) };
    unwinder.take_frame(record)
}
