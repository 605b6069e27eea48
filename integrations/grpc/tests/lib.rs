//! The channel and its calls against servers of tonic's on real sockets.

/// What `tests/proto/greeter.proto` becomes. Made anew, where there is a `protoc`, by a program of one line:
/// `tonic_prost_build::configure().out_dir("tests/proto").compile_protos(&["tests/proto/greeter.proto"], &["tests/proto"])`
/// with tonic-prost-build 0.14.
mod greeter {
    #![allow(
        clippy::all,
        unreachable_pub,
        reason = "it is written by tonic-prost-build"
    )]
    include!("proto/tenure.greeter.rs");
}

mod calls;
mod cancel;
mod closing;
mod deadlines;
mod faults;
#[cfg(unix)]
mod foreign;
mod health;
mod members;
mod network;
mod openings;
mod overload;
#[cfg(target_os = "linux")]
mod processes;
mod retries;
mod rig;
mod streams;
mod suspicion;
#[cfg(feature = "tls")]
mod tls;
mod unsent;
mod watches;
