//! Names of kernel, module and BPF functions, from `/proc/kallsyms`.

use std::sync::Arc;

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
