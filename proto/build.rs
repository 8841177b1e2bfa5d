//! Generates the messages, the client and the server from `gristmill/v1/*.proto`. No `protoc` is needed.

use prost::Message as _;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let files = ["gristmill/v1/job.proto", "gristmill/v1/job_service.proto"];
    println!("cargo:rerun-if-changed=gristmill");
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For the reflection service.
    std::fs::write(out.join("gristmill.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
