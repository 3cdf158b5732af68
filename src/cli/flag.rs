//! The table of flags, as the structure of settings gives it.

use super::settings::Settings;
use argh::{ArgsInfo, FlagInfoKind};

/// Other names of flags: today's Parca Agent calls them so.
pub(super) const ALIASES: [(&str, &str); 6] = [
    ("metadata-external-labels", "external-label"),
    ("remote-store-address", "store-address"),
    ("remote-store-bearer-token", "bearer-token"),
    ("remote-store-bearer-token-file", "bearer-token-file"),
    ("remote-store-insecure", "insecure"),
    ("remote-store-insecure-skip-verify", "insecure-skip-verify"),
];

/// Flags that a file cannot set.
pub(super) const NOT_IN_FILES: [&str; 1] = ["config-path"];

/// One flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// Its name, without dashes.
    pub(super) name: &'static str,
    /// What its value is called in the help text.
    pub(super) value_name: &'static str,
    /// One line of help.
    pub(super) description: &'static str,
    /// Whether the help text leaves it out.
    pub(super) hidden: bool,
}

impl Flag {
    /// Whether it stands for true when it has no value.
    pub(super) fn is_bool(self) -> bool {
        matches!(self.value_name, "bool" | "bool-or-auto")
    }
}

/// Every flag, in the order of help.
pub(super) fn all() -> Vec<Flag> {
    let info = Settings::get_args_info();
    info.flags
        .iter()
        .filter_map(|flag| match flag.kind {
            FlagInfoKind::Option { arg_name } => Some(Flag {
                name: flag.long.trim_start_matches('-'),
                value_name: arg_name,
                description: flag.description,
                hidden: flag.hidden,
            }),
            FlagInfoKind::Switch => None,
        })
        .collect()
}

/// Finds a flag by its name or another name of it.
pub(super) fn find(name: &str) -> Option<Flag> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    all().into_iter().find(|flag| flag.name == name)
}

/// Every name that a flag may be given by, hidden flags left out.
pub(super) fn names() -> Vec<&'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    all().iter().filter(|flag| !flag.hidden).map(|flag| flag.name).chain(aliases).collect()
}

/// Every key of a file, without other names.
pub(super) fn keys() -> Vec<&'static str> {
    all().into_iter().map(|flag| flag.name).filter(|name| !NOT_IN_FILES.contains(name)).collect()
}
