//! The union of profiles: each row of a table once, each stack once with the sum of its values.

use super::MergeError;
use crate::pprof::proto;
use crate::store::message::ExecutableInfo;
use std::collections::HashMap;
use std::hash::Hash;

/// Rows that are told apart by what they hold, with ids from 1 in the order in which they came.
struct Table<R> {
    rows: Vec<R>,
    ids: HashMap<R, u64>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), ids: HashMap::new() }
    }
}

impl<R: Clone + Eq + Hash> Table<R> {
    fn id(&mut self, row: R) -> u64 {
        if let Some(id) = self.ids.get(&row) {
            return *id;
        }
        self.rows.push(row.clone());
        let id = self.rows.len() as u64;
        self.ids.insert(row, id);
        id
    }
}

/// All of a function but its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Function {
    name: i64,
    system_name: i64,
    filename: i64,
}

/// All of a mapping but its id, and what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Mapping {
    memory_start: u64,
    memory_limit: u64,
    file_offset: u64,
    filename: i64,
    build_id: i64,
    has_functions: bool,
    executable: ExecutableInfo,
}

/// All of a location but its id.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Location {
    mapping_id: u64,
    address: u64,
    /// Functions, and lines in them.
    lines: Vec<(u64, i64)>,
}

/// All of a sample but its values.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Stack {
    location_ids: Vec<u64>,
    /// Keys, texts and numbers, sorted.
    labels: Vec<(i64, i64, i64)>,
}

/// What values mean: two sums are worth something only if it is the same.
#[derive(Clone, PartialEq, Eq)]
struct Kinds {
    sample_type: Vec<proto::ValueType>,
    period_type: Option<proto::ValueType>,
    period: i64,
}

/// A union in the making.
#[derive(Default)]
pub(super) struct Union {
    strings: Table<String>,
    functions: Table<Function>,
    mappings: Table<Mapping>,
    locations: Table<Location>,
    stacks: Table<Stack>,
    /// Of each stack.
    values: Vec<Vec<i64>>,
    comments: Table<i64>,
    kinds: Option<Kinds>,
}

impl Union {
    /// Adds a profile, and what belongs to each of its mappings.
    pub(super) fn add(
        &mut self,
        profile: &proto::Profile,
        executables: &[ExecutableInfo],
    ) -> Result<(), MergeError> {
        if executables.len() != profile.mapping.len() {
            let (executables, mappings) = (executables.len(), profile.mapping.len());
            return Err(MergeError::Executables { executables, mappings });
        }
        self.string("");
        let strings = Strings(profile.string_table.iter().map(|text| self.string(text)).collect());
        self.add_kinds(profile, &strings)?;
        for comment in &profile.comment {
            self.comments.id(strings.of(*comment)?);
        }
        let mut functions = Ids::new("function");
        for function in &profile.function {
            let row = Function {
                name: strings.of(function.name)?,
                system_name: strings.of(function.system_name)?,
                filename: strings.of(function.filename)?,
            };
            functions.insert(function.id, self.functions.id(row));
        }
        let mut mappings = Ids::new("mapping");
        for (mapping, executable) in profile.mapping.iter().zip(executables) {
            let row = Mapping {
                memory_start: mapping.memory_start,
                memory_limit: mapping.memory_limit,
                file_offset: mapping.file_offset,
                filename: strings.of(mapping.filename)?,
                build_id: strings.of(mapping.build_id)?,
                has_functions: mapping.has_functions,
                executable: *executable,
            };
            mappings.insert(mapping.id, self.mappings.id(row));
        }
        let mut locations = Ids::new("location");
        for location in &profile.location {
            let lines = location.line.iter().map(|line| Ok((functions.of(line.function_id)?, line.line)));
            let row = Location {
                // A location need not lie in a mapping.
                mapping_id: if location.mapping_id == 0 { 0 } else { mappings.of(location.mapping_id)? },
                address: location.address,
                lines: lines.collect::<Result<_, MergeError>>()?,
            };
            locations.insert(location.id, self.locations.id(row));
        }
        profile.sample.iter().try_for_each(|sample| self.add_sample(sample, &strings, &locations))
    }

    fn add_kinds(&mut self, profile: &proto::Profile, strings: &Strings) -> Result<(), MergeError> {
        let value_type = |of: &proto::ValueType| -> Result<_, MergeError> {
            Ok(proto::ValueType { r#type: strings.of(of.r#type)?, unit: strings.of(of.unit)? })
        };
        let kinds = Kinds {
            sample_type: profile.sample_type.iter().map(value_type).collect::<Result<_, _>>()?,
            period_type: profile.period_type.as_ref().map(value_type).transpose()?,
            period: profile.period,
        };
        if *self.kinds.get_or_insert_with(|| kinds.clone()) != kinds {
            return Err(MergeError::Different);
        }
        Ok(())
    }

    fn add_sample(
        &mut self,
        sample: &proto::Sample,
        strings: &Strings,
        locations: &Ids,
    ) -> Result<(), MergeError> {
        let kinds = self.kinds.as_ref().map_or(0, |kinds| kinds.sample_type.len());
        if sample.value.len() != kinds {
            return Err(MergeError::Values(sample.value.len()));
        }
        let labels =
            sample.label.iter().map(|label| Ok((strings.of(label.key)?, strings.of(label.str)?, label.num)));
        let mut labels = labels.collect::<Result<Vec<_>, MergeError>>()?;
        labels.sort_unstable();
        let location_ids = sample.location_id.iter().map(|id| locations.of(*id)).collect::<Result<_, _>>()?;
        // Ids are from 1, and no more than rows in memory.
        let index = self.stacks.id(Stack { location_ids, labels }) as usize - 1;
        match self.values.get_mut(index) {
            Some(values) => {
                values.iter_mut().zip(&sample.value).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
            }
            None => self.values.push(sample.value.clone()),
        }
        Ok(())
    }

    /// The union, without its time, and what belongs to each of its mappings. Tools take the first mapping for the
    /// profiled program, so mappings of identified files come first.
    pub(super) fn finish(self) -> (proto::Profile, Vec<ExecutableInfo>) {
        let mut mappings: Vec<_> = (1..).zip(self.mappings.rows).collect();
        mappings.sort_by_key(|(_, mapping)| mapping.build_id == 0);
        let mut ids = Ids::new("mapping");
        for (id, (old, _)) in (1..).zip(&mappings) {
            ids.insert(*old, id);
        }
        let executables = mappings.iter().map(|(_, mapping)| mapping.executable).collect();
        let kinds = self.kinds.unwrap_or(Kinds { sample_type: Vec::new(), period_type: None, period: 0 });
        let profile = proto::Profile {
            sample_type: kinds.sample_type,
            sample: self.stacks.rows.into_iter().zip(self.values).map(sample).collect(),
            mapping: (1..).zip(mappings).map(|(id, (_, row))| mapping(id, row)).collect(),
            location: (1..)
                .zip(self.locations.rows)
                .map(|(id, row)| proto::Location {
                    id,
                    mapping_id: ids.0.get(&row.mapping_id).copied().unwrap_or_default(),
                    address: row.address,
                    line: row
                        .lines
                        .into_iter()
                        .map(|(function_id, line)| proto::Line { function_id, line })
                        .collect(),
                })
                .collect(),
            function: (1..).zip(self.functions.rows).map(|(id, row)| function(id, row)).collect(),
            string_table: self.strings.rows,
            period_type: kinds.period_type,
            period: kinds.period,
            comment: self.comments.rows,
            ..proto::Profile::default()
        };
        (profile, executables)
    }

    /// The index of a string. Theirs are from 0, and a table of 2^63 strings does not fit in any memory.
    fn string(&mut self, text: &str) -> i64 {
        match self.strings.ids.get(text) {
            Some(id) => *id as i64 - 1,
            None => self.strings.id(text.to_owned()) as i64 - 1,
        }
    }
}

fn sample((stack, value): (Stack, Vec<i64>)) -> proto::Sample {
    let label = stack.labels.into_iter().map(|(key, str, num)| proto::Label { key, str, num }).collect();
    proto::Sample { location_id: stack.location_ids, value, label }
}

fn mapping(id: u64, row: Mapping) -> proto::Mapping {
    proto::Mapping {
        id,
        memory_start: row.memory_start,
        memory_limit: row.memory_limit,
        file_offset: row.file_offset,
        filename: row.filename,
        build_id: row.build_id,
        has_functions: row.has_functions,
    }
}

fn function(id: u64, row: Function) -> proto::Function {
    proto::Function { id, name: row.name, system_name: row.system_name, filename: row.filename }
}

/// Indices in the union's table of strings, by those of one profile.
struct Strings(Vec<i64>);

impl Strings {
    fn of(&self, index: i64) -> Result<i64, MergeError> {
        let found = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        found.copied().ok_or(MergeError::Dangling("string"))
    }
}

/// Ids in a table of the union, by those of one profile, and what they are ids of.
struct Ids(HashMap<u64, u64>, &'static str);

impl Ids {
    fn new(of: &'static str) -> Self {
        Self(HashMap::new(), of)
    }

    fn insert(&mut self, own: u64, id: u64) {
        self.0.insert(own, id);
    }

    fn of(&self, own: u64) -> Result<u64, MergeError> {
        self.0.get(&own).copied().ok_or(MergeError::Dangling(self.1))
    }
}
