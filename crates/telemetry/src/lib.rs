//! gristmill-telemetry
