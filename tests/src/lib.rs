//! Cluster in a process, fault injection, golden vectors, end to end.
