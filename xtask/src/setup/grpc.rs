//! gRPC for Python, which the second server of the store's tests is made with.

use super::need::Missing;
use super::venv::Venv;
use crate::cache;
use crate::toolchain::Machine;

const VENV: Venv = Venv {
    packages: &cache::GRPC_PACKAGES,
    programs: &["python-grpc-tools-protoc"],
    why: "a server to send profiles to",
};

pub(super) fn missing(machine: &Machine) -> Vec<Missing> {
    VENV.missing(machine)
}
