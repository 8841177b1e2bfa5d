//! gristmill-pipeline
