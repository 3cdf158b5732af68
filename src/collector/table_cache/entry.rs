//! One file of the cache.
//!
//! ```text
//! magic 8 | version u32 | key 32 | table, as the worker sends it | SHA-256 of all before it, 32
//! ```
//! Another version, another key or a wrong sum makes it as good as absent.

use super::key::Key;
use crate::unwind::Table;
use crate::worker::table::{decode_table, encode_table};
use sha2::{Digest, Sha256};

const MAGIC: [u8; 8] = *b"PA-ROWS\n";

/// Of the layout above, and of how tables are made: a table that this program would make otherwise is of no use.
pub const VERSION: u32 = 1;

const SUM_BYTES: usize = 32;
const HEAD_BYTES: usize = MAGIC.len() + size_of::<u32>() + Key::BYTES;

/// Largest file that is read, bytes. The largest tables that are known have 3 MiB.
pub const MAX_BYTES: u64 = 32 << 20;

/// The file of a table.
pub fn encode(key: Key, table: Table) -> Vec<u8> {
    let mut bytes = head(key);
    bytes.extend(encode_table(&Ok(table)));
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    bytes
}

/// The table in a file; `None` if the file is not that of the key, or not as it was written.
pub fn decode(bytes: &[u8], key: Key) -> Option<Table> {
    let (content, sum) = bytes.split_last_chunk::<SUM_BYTES>()?;
    if Sha256::digest(content).as_slice() != sum.as_slice() {
        return None;
    }
    let table = content.strip_prefix(head(key).as_slice())?;
    decode_table(table).ok()?.ok()
}

fn head(key: Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(key.bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::{VERSION, decode, encode};
    use crate::unwind::machine::Machine;
    use crate::unwind::{Limits, Page, Source, Statistics, Table, build};
    use crate::worker::table::encode_table;
    use parca_agent_common::unwind::rule::{Row, Rule, RuleId};
    use sha2::{Digest, Sha256};

    fn table() -> Table {
        Table {
            machine: Machine::X86_64,
            source: Source::EhFrame,
            rules: vec![Rule::FRAME_POINTER],
            pages: vec![Page { number: 7, rows: vec![Row::new(0, RuleId(0))] }],
            statistics: Statistics { functions: 1, raw_rows: 1, rows: 1, ..Statistics::default() },
        }
    }

    #[test]
    fn a_table_comes_back_as_it_was() {
        let key = Key::from_bytes([5; 32]);
        assert_eq!(decode(&encode(key, table()), key), Some(table()));
    }

    /// Small files of all kinds.
    const FILES: [&[u8]; 7] = [
        include_bytes!("../../../tests/fuzz/seeds/unwind_table/aarch64"),
        include_bytes!("../../../tests/fuzz/seeds/unwind_table/debug_frame"),
        include_bytes!("../../../tests/fuzz/seeds/unwind_table/sections"),
        include_bytes!("../../../tests/fuzz/seeds/unwind_table/stripped"),
        include_bytes!("../../../tests/fuzz/seeds/go_table/go118_aarch64"),
        include_bytes!("../../../tests/fuzz/seeds/go_table/go120_x86_64"),
        include_bytes!("../../../tests/fuzz/seeds/go_table/go126_aarch64"),
    ];

    #[test]
    fn a_table_that_is_made_otherwise_has_another_version() {
        let mut sum = Sha256::new();
        for file in FILES {
            sum.update(encode_table(&build(file, &Limits::default())));
        }
        let sum: String = sum.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        // When the sum changes, VERSION has to, or agents go on with tables of the old kind.
        assert_eq!((VERSION, sum.as_str()), (1, "d75996ae20d3dd8b"));
    }

    #[test]
    fn the_file_of_another_key_is_none() {
        let bytes = encode(Key::from_bytes([5; 32]), table());
        assert_eq!(decode(&bytes, Key::from_bytes([6; 32])), None);
    }

    #[test]
    fn whatever_byte_is_changed_or_lost_the_file_is_none() {
        let key = Key::from_bytes([5; 32]);
        let bytes = encode(key, table());
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(decode(&changed, key), None, "byte {index}");
            assert_eq!(decode(&bytes[..index], key), None, "cut at {index}");
        }
    }
}
