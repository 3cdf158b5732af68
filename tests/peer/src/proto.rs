//! The messages, servers and clients that `build.rs` generates.
#![allow(missing_docs, reason = "generated; the .proto files say what they are")]
#![allow(unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]

pub mod profilestore {
    tonic::include_proto!("parca.profilestore.v1alpha1");
}

pub mod debuginfo {
    tonic::include_proto!("parca.debuginfo.v1alpha1");
}

pub mod pprof {
    tonic::include_proto!("perftools.profiles");
}

pub mod rpc {
    tonic::include_proto!("google.rpc");
}
