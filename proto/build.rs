//! Generates the messages, clients and servers from the `.proto` files. No `protoc` is needed.

use prost::Message as _;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=gristmill");
    println!("cargo:rerun-if-changed=externalscaler");
    let descriptors = protox::compile(["gristmill/v1/job.proto", "gristmill/v1/job_service.proto"], ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For the reflection service.
    std::fs::write(out.join("gristmill.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    let scaler = protox::compile(["externalscaler/externalscaler.proto"], ["."])?;
    tonic_prost_build::configure().compile_fds(scaler)?;
    Ok(())
}
