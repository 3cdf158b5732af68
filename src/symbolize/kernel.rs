//! Names of kernel, module and BPF functions, from `/proc/kallsyms`.

use crate::address::KernelAddress;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KALLSYMS: &str = "/proc/kallsyms";
/// Text symbols that are kept; a Debian kernel with its usual modules has 150 000.
const MAX_SYMBOLS: usize = 1_000_000;
/// A line that is longer is not a symbol. The kernel's own limit of a name is 512 bytes.
const MAX_LINE: usize = 1024;
/// No function is larger, so an address further from the symbol below it belongs to something that was
/// loaded since.
const MAX_FUNCTION: u64 = 1 << 20;
/// The same for modules and BPF programs, which are small and come and go.
const MAX_MODULE_FUNCTION: u64 = 64 << 10;
/// An address without a name makes the table be read again, but not more often than this: reading it
/// costs some 50 ms of CPU time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// Where the linker puts `_text`, before the kernel moves itself (KASLR). An address at this base tells
/// nothing about the running kernel's layout, and is the address in its `vmlinux`.
#[cfg(target_arch = "x86_64")]
const LINK_BASE: u64 = 0xffff_ffff_8100_0000;
/// `KIMAGE_VADDR` since Linux 6.5; earlier kernels have their `_text` elsewhere.
#[cfg(target_arch = "aarch64")]
const LINK_BASE: u64 = 0xffff_8000_8000_0000;

/// The addresses of the kernel's own image at load bias 0; it is never larger than 1 GiB.
pub const KERNEL_IMAGE: Range<u64> = LINK_BASE..LINK_BASE + (1 << 30);

/// The function that a kernel address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSymbol {
    /// Its name, as kallsyms writes it.
    pub name: Arc<str>,
    /// The module, or `bpf`; `None` in the kernel proper.
    pub module: Option<Arc<str>>,
    /// The address of the sample at load bias 0, where that is known: in the kernel proper.
    pub link_address: Option<u64>,
}

/// The running kernel's functions.
#[derive(Debug, Default)]
pub struct KernelSymbols {
    /// Ascending.
    entries: Vec<Entry>,
    names: String,
    modules: Vec<Arc<str>>,
    /// Runtime address of `_text`, 0 if it is not shown.
    text_start: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    /// Start in `names`; the name ends at the next line feed.
    name: u32,
    /// Index in `modules` plus one, 0 in the kernel proper.
    module: u16,
}

impl KernelSymbols {
    /// Reads the text of kallsyms: `ADDRESS TYPE NAME[\t[MODULE]]`, one symbol a line. Lines that are not
    /// understood are passed over.
    pub fn read(mut text: impl BufRead) -> io::Result<Self> {
        let mut symbols = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            if text.read_until(b'\n', &mut line)? == 0 || symbols.entries.len() >= MAX_SYMBOLS {
                break;
            }
            if line.len() <= MAX_LINE
                && let Ok(line) = std::str::from_utf8(&line)
            {
                symbols.add(line);
            }
        }
        symbols.entries.sort_by_key(|entry| entry.address);
        symbols.entries.shrink_to_fit();
        symbols.names.shrink_to_fit();
        Ok(symbols)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split_ascii_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let kind = fields.next()?;
        let name = fields.next()?;
        // Padding before each function, for tracing and control-flow integrity, runs no code of its own.
        let padding = name.starts_with("__pfx_") || name.starts_with("__cfi_");
        if address == 0 || padding || !matches!(kind, "t" | "T" | "w" | "W") {
            return None;
        }
        let module = fields.next().map(|module| module.trim_start_matches('[').trim_end_matches(']'));
        // Init functions of built-in code are shown in a pseudo module.
        let module = module.filter(|module| !module.starts_with("__builtin__"));
        let module = module.map_or(Some(0), |module| self.module_index(module))?;
        if name == "_text" {
            self.text_start = address;
        }
        self.entries.push(Entry { address, name: u32::try_from(self.names.len()).ok()?, module });
        self.names.push_str(name);
        self.names.push('\n');
        Some(())
    }

    /// Symbols of a module follow each other, so the last one is nearly always the one.
    fn module_index(&mut self, module: &str) -> Option<u16> {
        let index = self.modules.iter().rposition(|known| **known == *module).unwrap_or_else(|| {
            self.modules.push(module.into());
            self.modules.len() - 1
        });
        u16::try_from(index + 1).ok()
    }

    /// Whether the kernel showed no addresses: the reader lacks `CAP_SYSLOG`, or `kptr_restrict` is 2.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The function that an address lies in; `None` if no known one is near.
    pub fn find(&self, address: KernelAddress) -> Option<KernelSymbol> {
        let after = self.entries.partition_point(|entry| entry.address <= address.0);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let module = usize::from(entry.module).checked_sub(1).and_then(|index| self.modules.get(index));
        let limit = if module.is_some() { MAX_MODULE_FUNCTION } else { MAX_FUNCTION };
        if address.0 - entry.address >= limit {
            return None;
        }
        let name = self.names.get(entry.name as usize..)?.split('\n').next()?;
        let shown = module.is_none() && self.text_start != 0;
        let link_address =
            address.0.checked_sub(self.text_start).and_then(|distance| distance.checked_add(LINK_BASE));
        Some(KernelSymbol {
            name: name.into(),
            module: module.cloned(),
            link_address: link_address.filter(|address| shown && KERNEL_IMAGE.contains(address)),
        })
    }
}

/// [`KernelSymbols`] that are read when first needed, and again when an address has no name.
#[derive(Debug)]
pub struct KernelSymbolizer {
    symbols: KernelSymbols,
    read_at: Option<Instant>,
}

impl KernelSymbolizer {
    /// Reads nothing yet.
    pub fn new() -> Self {
        Self { symbols: KernelSymbols::default(), read_at: None }
    }

    /// Names each address that lies in a known function.
    pub fn symbolize(
        &mut self,
        addresses: impl Iterator<Item = KernelAddress> + Clone,
    ) -> Vec<(KernelAddress, KernelSymbol)> {
        if addresses.clone().any(|address| self.symbols.find(address).is_none()) {
            self.refresh();
        }
        addresses.filter_map(|address| Some((address, self.symbols.find(address)?))).collect()
    }

    fn refresh(&mut self) {
        if self.read_at.is_some_and(|read_at| read_at.elapsed() < REFRESH_INTERVAL) {
            return;
        }
        let first = self.read_at.replace(Instant::now()).is_none();
        match File::open(KALLSYMS).and_then(|file| KernelSymbols::read(BufReader::new(file))) {
            Ok(symbols) => self.symbols = symbols,
            Err(error) if first => {
                log::warn!(error = error.to_string().as_str(); "kernel functions have no names: failed to read /proc/kallsyms");
            }
            Err(_) => {}
        }
        if first && self.symbols.is_empty() {
            log::warn!(
                remedy = "give parca-agent CAP_SYSLOG, and set kernel.kptr_restrict below 2";
                "kernel functions have no names: /proc/kallsyms shows no addresses"
            );
        }
    }
}

impl Default for KernelSymbolizer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{KernelAddress, KernelSymbols, LINK_BASE};

    const TEXT: &str = "ffffffff9a000000 T _text\n\
        ffffffff9a000010 T do_work\n\
        ffffffff9a000100 D some_data\n\
        ffffffff9a0001f0 t __pfx_other\n\
        ffffffff9a000200 t other\n\
        ffffffffc0500000 t handler\t[nf_tables]\n\
        ffffffffc0600000 t bpf_prog_6deef7357e7b4530_take_sample\t[bpf]\n\
        ffffffff9b000000 t late_setup\t[__builtin__ftrace]\n\
        garbage\n\
        zzzz t x\n";

    fn find(address: u64) -> Option<(String, Option<String>, Option<u64>)> {
        let symbols = KernelSymbols::read(TEXT.as_bytes()).unwrap();
        let symbol = symbols.find(KernelAddress(address))?;
        Some((symbol.name.to_string(), symbol.module.map(|module| module.to_string()), symbol.link_address))
    }

    #[test]
    fn addresses_of_the_kernel_proper_are_those_of_its_image() {
        assert_eq!(find(0xffff_ffff_9a00_0015), Some(("do_work".to_owned(), None, Some(LINK_BASE + 0x15))));
        assert_eq!(find(0xffff_ffff_9a00_01f8), Some(("do_work".to_owned(), None, Some(LINK_BASE + 0x1f8))));
        assert_eq!(find(0xffff_ffff_9b00_0001).unwrap().1, None);
    }

    #[test]
    fn modules_and_bpf_programs_are_named_and_their_addresses_kept_secret() {
        assert_eq!(
            find(0xffff_ffff_c050_0020),
            Some(("handler".to_owned(), Some("nf_tables".to_owned()), None))
        );
        assert_eq!(find(0xffff_ffff_c060_0020).unwrap().1.as_deref(), Some("bpf"));
    }

    #[test]
    fn an_address_far_from_any_symbol_has_no_name() {
        for address in [0, 0xffff_ffff_99ff_ffff, 0xffff_ffff_9a10_0200, 0xffff_ffff_c051_0000, u64::MAX] {
            assert_eq!(find(address), None, "{address:#x}");
        }
    }

    #[test]
    fn hidden_addresses_give_an_empty_table() {
        let hidden = "0000000000000000 T _text\n0000000000000000 t do_work\n";
        assert!(KernelSymbols::read(hidden.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn a_name_ends_with_its_field_whatever_is_in_it() {
        let text = "ffffffff9a000000 T \0\0\nffffffff9a000010 T a\0b\n";
        let symbols = KernelSymbols::read(text.as_bytes()).unwrap();
        let name = |address| symbols.find(KernelAddress(address)).map(|symbol| symbol.name.to_string());
        assert_eq!(name(0xffff_ffff_9a00_0000).as_deref(), Some("\0\0"));
        assert_eq!(name(0xffff_ffff_9a00_0010).as_deref(), Some("a\0b"));
    }

    #[test]
    fn the_running_kernel_has_its_names() {
        let file = std::fs::File::open("/proc/kallsyms").unwrap();
        let symbols = KernelSymbols::read(std::io::BufReader::new(file)).unwrap();
        if !symbols.is_empty() {
            let start = KernelAddress(symbols.text_start);
            assert!(symbols.find(start).is_some());
        }
    }
}
