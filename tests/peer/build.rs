//! Generates messages, servers and clients from the `.proto` files, without protoc.

use std::error::Error;

const FILES: [&str; 4] = [
    "parca/profilestore/v1alpha1/profilestore.proto",
    "parca/debuginfo/v1alpha1/debuginfo.proto",
    "google/pprof/profile.proto",
    "google/rpc/retry.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
