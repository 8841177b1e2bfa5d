//! What stores were asked, for Prometheus. Read when somebody asks; counting itself is [`crate::meter`]'s and
//! [`crate::retry`]'s.
//!
//! Bounded: operations and outcomes are closed lists, and what never happened is left out.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::{Registry, Unit};

use crate::stores::Stores;

impl Stores {
    /// Has `registry` tell what these stores were asked.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }
}

impl Collector for Stores {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let meter = self.meter();
        let help = "Requests to storage, every try of them, by how it ended";
        let mut family =
            encoder.encode_descriptor("gristmill_storage_requests", help, None, MetricType::Counter)?;
        for (operation, outcome, count) in meter.requests() {
            let labels = [("operation", operation), ("outcome", outcome)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let help = "How long tries of requests to storage took; of a read, until its first byte";
        let (name, unit) = ("gristmill_storage_request_duration", Some(&Unit::Seconds));
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        for (operation, histogram) in meter.seconds() {
            histogram.encode(family.encode_family(&[("operation", operation)])?)?;
        }
        let bytes = [
            ("gristmill_storage_read", "Bytes that came from storage", meter.read_bytes()),
            ("gristmill_storage_written", "Bytes that were sent to storage", meter.written_bytes()),
        ];
        for (name, help, counts) in bytes {
            let mut family =
                encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Counter)?;
            for (operation, count) in counts {
                ConstCounter::new(count).encode(family.encode_family(&[("operation", operation)])?)?;
            }
        }
        let help = "Requests to storage that were repeated, by why: they failed, or the store was too busy";
        let mut family =
            encoder.encode_descriptor("gristmill_storage_retries", help, None, MetricType::Counter)?;
        for (reason, count) in self.budget().retries() {
            ConstCounter::new(count).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        let help = "How long requests to storage waited before they were repeated, all together";
        let (name, unit) = ("gristmill_storage_retry_wait", Some(&Unit::Seconds));
        encoder
            .encode_descriptor(name, help, unit, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&self.budget().waited().as_secs_f64(), None)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Settings, Stores};
    use prometheus_client::registry::Registry;

    #[tokio::test]
    async fn what_stores_were_asked_is_told() {
        let stores = Stores::new(Settings::default());
        let (store, key) = stores.open(&"memory://metrics/a".parse().unwrap()).unwrap();
        store.put(&key, b"12345".to_vec().into()).await.unwrap();
        store.get(&key, None).await.unwrap();
        store.stat("none").await.unwrap_err();
        let mut registry = Registry::default();
        stores.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let expected = [
            "gristmill_storage_requests_total{operation=\"stat\",outcome=\"not_found\"} 1\n",
            "gristmill_storage_requests_total{operation=\"put\",outcome=\"ok\"} 1\n",
            "gristmill_storage_request_duration_seconds_count{operation=\"get\"} 1\n",
            "gristmill_storage_read_bytes_total{operation=\"get\"} 5\n",
            "gristmill_storage_written_bytes_total{operation=\"put\"} 5\n",
            "gristmill_storage_retries_total{reason=\"throttled\"} 0\n",
            "gristmill_storage_retry_wait_seconds_total 0.0\n",
        ];
        for line in expected {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("\"sweep\""), "what never happened is left out");
    }
}
