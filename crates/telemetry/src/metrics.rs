//! What every process of ours tells about itself: its build, and under the names that Prometheus' own client libraries use,
//! its processor time, memory, threads and open files. Read from `/proc` when somebody asks; other systems tell less.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

/// A registry that knows when the process started, which is about now, which build and role it is, and what it uses.
#[must_use]
pub fn registry(role: &'static str, version: &'static str) -> Registry {
    let mut registry = Registry::default();
    let started = Gauge::<f64, AtomicU64>::default();
    started.set(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));
    registry.register_with_unit(
        "process_start_time",
        "When the process started, since 1970",
        Unit::Seconds,
        started,
    );
    let build = Info::new([("role", role), ("version", version)]);
    registry.register("gristmill_build", "Which program this is", build);
    registry.register_collector(Box::new(Process));
    registry
}

/// The memory that this process may use: the machine's, or its container's where that is less.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let meminfo = read("/proc/meminfo").and_then(|text| kibibytes(&text, "MemTotal:"));
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.iter().filter_map(|path| read(path)?.trim().parse::<u64>().ok()).min();
    meminfo.into_iter().chain(group).min()
}

/// A line of `/proc` that gives so many kB, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let usage = Usage::now();
        if let Some(seconds) = usage.processor_seconds {
            let help = "Processor time that the process has used";
            encoder
                .encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
        }
        let gauges = [
            ("process_resident_memory", Some(Unit::Bytes), "Memory that the process holds", usage.resident),
            ("process_threads", None, "Threads of the process", usage.threads),
            ("process_open_fds", None, "Files and sockets that the process has open", usage.open_files),
            ("process_max_fds", None, "Files and sockets that the process may have open", usage.most_files),
            (
                "gristmill_memory_limit",
                Some(Unit::Bytes),
                "Memory that the process may use: the machine's, or its container's where that is less",
                memory_limit(),
            ),
        ];
        for (name, unit, help, value) in gauges {
            if let Some(value) = value {
                encoder
                    .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?
                    .encode_gauge(&(value as f64))?;
            }
        }
        Ok(())
    }
}

/// What this process uses; what cannot be known is left out.
#[derive(Debug, Default)]
struct Usage {
    processor_seconds: Option<f64>,
    resident: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    most_files: Option<u64>,
}

impl Usage {
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            processor_seconds: processor_ticks(&stat)
                .map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64),
            resident: kibibytes(&status, "VmRSS:"),
            threads: threads.and_then(|threads| threads.trim().parse().ok()),
            open_files: std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        Self::default()
    }
}

/// `utime` + `stime` of `/proc/PID/stat`. The name before them may hold anything, parentheses and spaces too.
#[cfg(target_os = "linux")]
fn processor_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_knows_what_it_uses() {
        let usage = Usage::now();
        assert!(usage.processor_seconds.is_some_and(|seconds| seconds < 3600.0), "{usage:?}");
        assert!(usage.resident.is_some_and(|bytes| bytes > 1 << 20), "{usage:?}");
        assert!(usage.threads.is_some_and(|threads| threads >= 1), "{usage:?}");
        assert!(usage.open_files.is_some_and(|files| files >= 3), "{usage:?}");
        assert!(memory_limit().is_some_and(|bytes| bytes > 1 << 20));
        let stat = "1 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 17 4 0 0 20 0 1 0 1 1 1";
        assert_eq!(processor_ticks(stat), Some(21));
    }
}
