//! BTF: the kernel's own description of its structures, of which we need the offsets of a few members.
//!
//! Format: the kernel's `Documentation/bpf/btf.rst`. The compiler of our programs records no field
//! relocations, so the offsets are looked up here and passed in.

use parca_agent_common::pid_namespace::PidNamespace;
use parca_agent_common::settings::Settings;

/// Where the running kernel shows its BTF, with `CONFIG_DEBUG_INFO_BTF`.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const TYPE_BYTES: usize = 12;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
/// Anonymous structures nested deeper than this are not searched.
const MAX_DEPTH: usize = 8;

/// Why the offsets are not known.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// Not BTF, or cut short.
    #[error("the kernel's type information is malformed")]
    Malformed,
    /// A structure or member that every supported kernel has.
    #[error("the kernel's type information has no {structure}.{member}")]
    Missing {
        /// Name of the structure.
        structure: &'static str,
        /// Name of the member.
        member: &'static str,
    },
}

/// The offsets that the BPF programs need, from the text of [`KERNEL_BTF`], for a kernel with the helper
/// `bpf_task_pt_regs`.
pub fn task_offsets(btf: &[u8]) -> Result<Settings, BtfError> {
    offsets(&Btf::parse(btf).ok_or(BtfError::Malformed)?)
}

/// The same for a kernel without that helper: the registers are at the top of the task's kernel stack.
pub fn task_offsets_with_registers(btf: &[u8]) -> Result<Settings, BtfError> {
    let btf = Btf::parse(btf).ok_or(BtfError::Malformed)?;
    let missing = |structure| BtfError::Missing { structure, member: "size" };
    let registers = btf.size_of("pt_regs").ok_or(missing("pt_regs"))?;
    let stack = btf.size_of("thread_union").unwrap_or(USUAL_STACK_BYTES);
    let user_registers = stack.checked_sub(registers).ok_or(missing("thread_union"))?;
    Ok(Settings { user_registers, ..offsets(&btf)? })
}

/// Where a task's ids in a pid namespace are, which has this inode number and is not the initial one.
pub fn pid_namespace(btf: &[u8], inode: u32) -> Result<PidNamespace, BtfError> {
    let btf = Btf::parse(btf).ok_or(BtfError::Malformed)?;
    let offset = |structure, member| {
        btf.member_offset(structure, member).ok_or(BtfError::Missing { structure, member })
    };
    Ok(PidNamespace {
        inode,
        // Named so since 4.19.
        task_thread_pid: offset("task_struct", "thread_pid")?,
        pid_level: offset("pid", "level")?,
        pid_numbers: offset("pid", "numbers")?,
        number_bytes: btf.size_of("upid").ok_or(BtfError::Missing { structure: "upid", member: "size" })?,
        number_id: offset("upid", "nr")?,
        number_namespace: offset("upid", "ns")?,
        namespace_inode: offset("pid_namespace", "ns")? + offset("ns_common", "inum")?,
    })
}

/// `THREAD_SIZE` of x86_64 and, with pages of 4 KiB, of aarch64.
const USUAL_STACK_BYTES: u32 = 16 << 10;

fn offsets(btf: &Btf<'_>) -> Result<Settings, BtfError> {
    let structure = "task_struct";
    let offset = |member| btf.member_offset(structure, member).ok_or(BtfError::Missing { structure, member });
    Ok(Settings {
        task_group_leader: offset("group_leader")?,
        // Named real_start_time before 5.5.
        task_start_boot_time: offset("start_boottime").or_else(|_| offset("real_start_time"))?,
        task_flags: offset("flags")?,
        task_tgid: offset("tgid")?,
        task_pid: offset("pid")?,
        task_comm: offset("comm")?,
        task_stack: offset("stack")?,
        unmapped_area_length: btf.member_offset("vm_unmapped_area_info", "length").unwrap_or_default(),
        ..mappings(btf).unwrap_or_default()
    })
}

/// Where a task's mappings are.
fn mappings(btf: &Btf<'_>) -> Option<Settings> {
    let offset = |structure, member| btf.member_offset(structure, member);
    Some(Settings {
        task_memory: offset("task_struct", "mm")?,
        mapping_start: offset("vm_area_struct", "vm_start")?,
        mapping_end: offset("vm_area_struct", "vm_end")?,
        mapping_file_page: offset("vm_area_struct", "vm_pgoff")?,
        mapping_file: offset("vm_area_struct", "vm_file")?,
        file_inode: offset("file", "f_inode")?,
        inode_number: offset("inode", "i_ino")?,
        inode_size: offset("inode", "i_size")?,
        inode_super_block: offset("inode", "i_sb")?,
        super_block_device: offset("super_block", "s_dev")?,
        ..maple_tree(btf).or_else(|| red_black_tree(btf))?
    })
}

/// The tree of mappings from 6.1 on.
fn maple_tree(btf: &Btf<'_>) -> Option<Settings> {
    let root = btf.member_offset("mm_struct", "mm_mt")? + btf.member_offset("maple_tree", "ma_root")?;
    Some(Settings { memory_root: root, ..Settings::default() })
}

/// The tree of mappings before 6.1.
fn red_black_tree(btf: &Btf<'_>) -> Option<Settings> {
    Some(Settings {
        memory_tree: btf.member_offset("mm_struct", "mm_rb")? + btf.member_offset("rb_root", "rb_node")?,
        mapping_node: btf.member_offset("vm_area_struct", "vm_rb")?,
        mapping_memory: btf.member_offset("vm_area_struct", "vm_mm")?,
        node_left: btf.member_offset("rb_node", "rb_left")?,
        node_right: btf.member_offset("rb_node", "rb_right")?,
        ..Settings::default()
    })
}

struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Byte offset in `types` of each type; index 0 is type id 1.
    offsets: Vec<usize>,
}

/// One type's fixed part.
struct Type {
    name: usize,
    kind: u32,
    /// Members of a structure or union.
    length: usize,
    /// Member offsets hold a bit-field size in their upper byte.
    bit_fields: bool,
}

impl<'a> Btf<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let magic = u16::from_le_bytes(*bytes.first_chunk()?);
        if magic != MAGIC {
            return None;
        }
        let header = |index: usize| word(bytes, index).map(|value| value as usize);
        let body = bytes.get(header(4)?..)?;
        let types = body.get(header(8)?..header(8)?.checked_add(header(12)?)?)?;
        let strings = body.get(header(16)?..header(16)?.checked_add(header(20)?)?)?;
        let mut btf = Self { types, strings, offsets: Vec::new() };
        let mut at = 0;
        while at < types.len() {
            btf.offsets.push(at);
            at += TYPE_BYTES + btf.extra_bytes(at)?;
        }
        Some(btf)
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let info = word(self.types, at + 4)?;
        Some(Type {
            name: word(self.types, at)? as usize,
            kind: (info >> 24) & 0x1f,
            length: (info & 0xffff) as usize,
            bit_fields: info >> 31 != 0,
        })
    }

    /// Bytes that follow the fixed part, by kind.
    fn extra_bytes(&self, at: usize) -> Option<usize> {
        let Type { kind, length, .. } = self.type_at(at)?;
        Some(match kind {
            1 | 14 | 17 => 4,                                  // INT, VAR, DECL_TAG
            3 => 12,                                           // ARRAY
            KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * length, // and DATASEC, ENUM64
            6 | 13 => 8 * length,                              // ENUM, FUNC_PROTO
            2 | 7..=12 | 16 | 18 => 0,                         // PTR, FWD .. FUNC, FLOAT, TYPE_TAG
            _ => return None,
        })
    }

    fn name(&self, at: usize) -> &'a [u8] {
        self.strings.get(at..).and_then(|rest| rest.split(|byte| *byte == 0).next()).unwrap_or_default()
    }

    /// Bytes of a structure or union.
    fn size_of(&self, name: &str) -> Option<u32> {
        self.offsets.iter().find_map(|&at| {
            let found = self.type_at(at)?;
            let is_it =
                matches!(found.kind, KIND_STRUCT | KIND_UNION) && self.name(found.name) == name.as_bytes();
            is_it.then(|| word(self.types, at + 8))?
        })
    }

    fn member_offset(&self, structure: &str, member: &str) -> Option<u32> {
        self.offsets.iter().find_map(|&at| {
            let found = self.type_at(at)?;
            (found.kind == KIND_STRUCT && self.name(found.name) == structure.as_bytes())
                .then(|| self.find_member(at, member.as_bytes(), MAX_DEPTH))?
        })
    }

    /// Byte offset of a member, also inside anonymous structures and unions.
    fn find_member(&self, at: usize, name: &[u8], depth: usize) -> Option<u32> {
        let Type { length, bit_fields, .. } = self.type_at(at)?;
        (0..length).find_map(|index| {
            let member = at + TYPE_BYTES + index * 12;
            let raw_offset = word(self.types, member + 8)?;
            let bits = if bit_fields { raw_offset & 0x00ff_ffff } else { raw_offset };
            let member_name = self.name(word(self.types, member)? as usize);
            if member_name == name {
                return Some(bits / 8);
            }
            if !member_name.is_empty() || depth == 0 {
                return None;
            }
            let id = word(self.types, member + 4)? as usize;
            let inner = *self.offsets.get(id.checked_sub(1)?)?;
            let kind = self.type_at(inner)?.kind;
            if kind != KIND_STRUCT && kind != KIND_UNION {
                return None;
            }
            Some(bits / 8 + self.find_member(inner, name, depth - 1)?)
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::{Btf, BtfError, pid_namespace, task_offsets};
    use parca_agent_common::pid_namespace::PidNamespace;

    /// `struct { int pad; union { int a; struct { int b; int c; }; }; } named s` in BTF.
    fn nested() -> Vec<u8> {
        let strings = b"\0int\0s\0pad\0a\0b\0c\0";
        let types: Vec<u32> = [
            &[1, 1 << 24, 4, 32][..],                    // 1: int
            &[0, (4 << 24) | 2, 8, 13, 1, 0, 15, 1, 32], // 2: struct { b; c; }
            &[0, (5 << 24) | 2, 8, 11, 1, 0, 0, 2, 0],   // 3: union { a; struct 2; }
            &[5, (4 << 24) | 2, 12, 7, 1, 0, 0, 3, 32],  // 4: struct s
        ]
        .concat();
        let type_bytes = types.len() as u32 * 4;
        let header = [0x0001_eb9f, 24, 0, type_bytes, type_bytes, strings.len() as u32];
        let mut bytes: Vec<u8> = header.into_iter().chain(types).flat_map(u32::to_le_bytes).collect();
        bytes.extend_from_slice(strings);
        bytes
    }

    #[test]
    fn members_of_anonymous_members_are_found() {
        let bytes = nested();
        let btf = Btf::parse(&bytes).unwrap();
        for (member, offset) in
            [("pad", Some(0)), ("a", Some(4)), ("b", Some(4)), ("c", Some(8)), ("d", None)]
        {
            assert_eq!(btf.member_offset("s", member), offset, "{member}");
        }
        assert_eq!(btf.member_offset("t", "a"), None);
    }

    #[test]
    fn a_missing_member_is_named() {
        let error = task_offsets(&nested()).unwrap_err();
        assert!(matches!(error, BtfError::Missing { member: "group_leader", .. }), "{error}");
    }

    #[test]
    fn the_ids_of_a_task_are_found_by_way_of_its_namespaces() {
        let found = pid_namespace(include_bytes!("../../tests/fuzz/seeds/types/pid_namespace"), 7).unwrap();
        let expected = PidNamespace {
            inode: 7,
            task_thread_pid: 40,
            pid_level: 4,
            pid_numbers: 80,
            number_bytes: 16,
            number_id: 0,
            number_namespace: 8,
            namespace_inode: 48,
        };
        assert_eq!(found, expected);
        let error = pid_namespace(&nested(), 7).unwrap_err();
        assert!(matches!(error, BtfError::Missing { member: "thread_pid", .. }), "{error}");
    }

    #[test]
    fn truncation_is_an_error_and_never_a_panic() {
        let bytes = nested();
        for length in 0..bytes.len() {
            if let Some(btf) = Btf::parse(&bytes[..length]) {
                btf.member_offset("s", "c");
            }
        }
    }
}
