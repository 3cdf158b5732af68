//! The tables of a pprof profile: everything is written once and named by its id.

use super::{Executable, proto};
use std::collections::HashMap;
use std::hash::Hash;

/// Index in the string table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct StringId(pub(super) i64);

/// Id of a function, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FunctionId(u64);

/// Id of a mapping, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MappingId(u64);

/// Id of a location, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LocationId(pub(super) u64);

/// Rows that are told apart by a key, with ids in the order in which they came.
struct Table<K, R> {
    rows: Vec<R>,
    ids: HashMap<K, u64>,
}

impl<K: Hash + Eq, R> Table<K, R> {
    fn new() -> Self {
        Self { rows: Vec::new(), ids: HashMap::new() }
    }

    /// The id of the row with this key, which `make` makes from its id if there is none.
    fn id(&mut self, key: K, make: impl FnOnce(u64) -> R) -> u64 {
        *self.ids.entry(key).or_insert_with(|| {
            let id = self.rows.len() as u64 + 1;
            self.rows.push(make(id));
            id
        })
    }
}

/// Addresses of a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct MappingRange {
    pub(super) start: u64,
    pub(super) limit: u64,
    pub(super) file_offset: u64,
}

/// What makes a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MappingKey {
    pub(super) range: MappingRange,
    pub(super) filename: StringId,
    pub(super) build_id: StringId,
    pub(super) has_functions: bool,
    /// What a store that reads the file needs to know of it; `None` for what is no file, or is not known.
    pub(super) executable: Option<Executable>,
}

/// A profile's tables in the making.
pub(super) struct Builder {
    strings: Vec<String>,
    string_ids: HashMap<String, StringId>,
    functions: Table<(StringId, StringId), proto::Function>,
    mappings: Table<MappingKey, (proto::Mapping, Option<Executable>)>,
    locations: Table<(MappingId, u64, Option<FunctionId>), proto::Location>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let mut builder = Self {
            strings: Vec::new(),
            string_ids: HashMap::new(),
            functions: Table::new(),
            mappings: Table::new(),
            locations: Table::new(),
        };
        builder.string("");
        builder
    }

    pub(super) fn string(&mut self, text: &str) -> StringId {
        if let Some(id) = self.string_ids.get(text) {
            return *id;
        }
        // A table of 2^63 strings does not fit in any memory.
        let id = StringId(self.strings.len() as i64);
        self.strings.push(text.to_owned());
        self.string_ids.insert(text.to_owned(), id);
        id
    }

    pub(super) fn value_type(&mut self, kind: &str, unit: &str) -> proto::ValueType {
        proto::ValueType { r#type: self.string(kind).0, unit: self.string(unit).0 }
    }

    pub(super) fn function(&mut self, name: &str, filename: &str) -> FunctionId {
        let (name, filename) = (self.string(name), self.string(filename));
        let row = |id| proto::Function { id, name: name.0, system_name: name.0, filename: filename.0 };
        FunctionId(self.functions.id((name, filename), row))
    }

    pub(super) fn mapping(&mut self, key: MappingKey) -> MappingId {
        let row = |id| {
            let mapping = proto::Mapping {
                id,
                memory_start: key.range.start,
                memory_limit: key.range.limit,
                file_offset: key.range.file_offset,
                filename: key.filename.0,
                build_id: key.build_id.0,
                has_functions: key.has_functions,
            };
            (mapping, key.executable)
        };
        MappingId(self.mappings.id(key, row))
    }

    pub(super) fn location(
        &mut self,
        mapping: MappingId,
        address: u64,
        function: Option<FunctionId>,
    ) -> LocationId {
        let row = |id| proto::Location {
            id,
            mapping_id: mapping.0,
            address,
            line: function
                .map(|function| proto::Line { function_id: function.0, line: 0 })
                .into_iter()
                .collect(),
        };
        LocationId(self.locations.id((mapping, address, function), row))
    }

    /// The tables, with everything else of the profile left empty. Tools take the first mapping for the
    /// profiled program, so mappings of identified files come first. Beside them, the executable of each mapping.
    pub(super) fn finish(mut self) -> (proto::Profile, Vec<Option<Executable>>) {
        self.mappings.rows.sort_by_key(|(mapping, _)| mapping.build_id == 0);
        let mut ids = HashMap::new();
        for ((mapping, _), id) in self.mappings.rows.iter_mut().zip(1..) {
            ids.insert(mapping.id, id);
            mapping.id = id;
        }
        for location in &mut self.locations.rows {
            location.mapping_id = ids.get(&location.mapping_id).copied().unwrap_or_default();
        }
        let (mapping, executables) = self.mappings.rows.into_iter().unzip();
        let profile = proto::Profile {
            mapping,
            location: self.locations.rows,
            function: self.functions.rows,
            string_table: self.strings,
            ..proto::Profile::default()
        };
        (profile, executables)
    }
}
