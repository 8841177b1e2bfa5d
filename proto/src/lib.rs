//! The gRPC contract, generated from `gristmill/v1/*.proto`, and KEDA's for external scalers. No logic.

/// Package `gristmill.v1`.
pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, unreachable_pub, reason = "generated")]
    tonic::include_proto!("gristmill.v1");
}

/// How KEDA asks for the number of workers.
pub mod externalscaler {
    #![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, unreachable_pub, reason = "generated")]
    tonic::include_proto!("externalscaler");
}

/// The descriptors of all of it, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gristmill.bin"));
