//! Which jobs are traced, as OpenTelemetry's variables say. Decided by the trace's id, so that every process decides alike.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>: a sampler that goes by a parent
//! (`parentbased_…`) decides by itself where there is none, and a job has none.

use opentelemetry::trace::TraceId;

/// A share of all jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// From 0 to 1.
    share: f64,
}

impl Sampling {
    /// What the variables say, and what is wrong with them.
    pub(super) fn from_env() -> (Self, Option<String>) {
        let value = |name: &str| std::env::var(name).ok();
        Self::new(value("OTEL_TRACES_SAMPLER").as_deref(), value("OTEL_TRACES_SAMPLER_ARG").as_deref())
    }

    fn new(sampler: Option<&str>, argument: Option<&str>) -> (Self, Option<String>) {
        let all = |why: String| (Self { share: 1.0 }, Some(format!("all jobs are traced: {why}")));
        match sampler.map(|name| name.strip_prefix("parentbased_").unwrap_or(name)) {
            None | Some("" | "always_on") => (Self { share: 1.0 }, None),
            Some("always_off") => (Self { share: 0.0 }, None),
            Some("traceidratio") => match argument.map_or(Ok(1.0), str::parse::<f64>) {
                Ok(share) if (0.0..=1.0).contains(&share) => (Self { share }, None),
                _ => all("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1".to_owned()),
            },
            Some(other) => all(format!("OTEL_TRACES_SAMPLER knows no {other:?} here")),
        }
    }

    pub(super) fn takes(self, trace: TraceId) -> bool {
        // The last seven bytes are what W3C asks to be random.
        let bits = u128::from_be_bytes(trace.to_bytes()) & ((1 << 56) - 1);
        (bits as f64) < self.share * (1_u64 << 56) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use std::ops::RangeInclusive;

    #[test]
    fn samplers_take_their_share() {
        let check = |sampler: Option<&str>, argument: Option<&str>, expected: RangeInclusive<usize>| {
            let (sampling, complaint) = Sampling::new(sampler, argument);
            let traces = (0..1000).map(|n| Place::job(&format!("job-{n}")).trace_id());
            let taken = traces.filter(|trace| sampling.takes(*trace)).count();
            assert!(expected.contains(&taken), "{sampler:?} {argument:?}: {taken}");
            complaint.unwrap_or_default()
        };
        assert_eq!(check(None, None, 1000..=1000), "");
        assert_eq!(check(Some("parentbased_always_on"), None, 1000..=1000), "");
        assert_eq!(check(Some("always_off"), None, 0..=0), "");
        assert_eq!(check(Some("traceidratio"), Some("0.25"), 200..=300), "");
        assert_eq!(check(Some("parentbased_traceidratio"), Some("0"), 0..=0), "");
        assert!(check(Some("traceidratio"), Some("many"), 1000..=1000).contains("from 0 to 1"));
        assert!(check(Some("jaeger_remote"), None, 1000..=1000).contains("jaeger_remote"));
    }
}
