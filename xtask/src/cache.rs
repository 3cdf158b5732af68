//! This project's folder in the user's cache, and the Python packages in it.
//!
//! The black-box tests include this file too, so it uses the standard library alone.

use std::env;
use std::path::PathBuf;

/// What the Python server of the store's tests is made with.
pub(crate) const GRPC_PACKAGES: [&str; 2] = ["grpcio==1.85.3", "grpcio-tools==1.85.1"];

/// Where things are that outlive a checkout; nothing if no variable says where.
pub(crate) fn folder() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(cache.or_else(home)?.join("parca-agent"))
}

/// The virtual environment that holds some packages; another set of versions gets another folder.
pub(crate) fn venv(packages: &[&str]) -> Option<PathBuf> {
    let versions: Vec<String> = packages.iter().map(|package| package.replace("==", "-")).collect();
    Some(folder()?.join(versions.join("-")))
}
