//! What the guard counts, read from the kernel when somebody asks.

use super::SteeringError;
use super::guard::TABLE;
use super::kernel::Kernel;
use herald_wire::nft::{Family, Item, Request};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;

/// Why the guard took a packet: each has a counter in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// An echo request, answered by the node (first of each run; the rest follows its connection).
    Ping,
    /// ICMP that belongs to no connection, dropped.
    Icmp,
    /// Connection tracking can't place it, dropped.
    Invalid,
    /// To a port that no holder has, refused.
    Refused,
    /// To a served port, but not taken by kube-proxy, dropped.
    Undelivered,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Ping, Self::Icmp, Self::Invalid, Self::Refused, Self::Undelivered];

    /// The counter's name, also the label of its metric. None is a word of nft's language: its listing could not be loaded.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "pings",
            Self::Icmp => "stray-icmp",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Undelivered => "undelivered",
        }
    }
}

/// Packets and bytes counted since the table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, network header included.
    pub bytes: u64,
}

/// What was counted, by family and reason.
pub type Counts = BTreeMap<(Family, Reason), Count>;

pub(super) fn read(kernel: &mut Kernel) -> Result<Counts, SteeringError> {
    let mut counts = Counts::new();
    for family in Family::ALL {
        for item in kernel.ask(&Request::Counters { family, table: TABLE.to_owned() })? {
            let Item::Counter(counter) = item else { continue };
            if let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.as_str() == counter.name) {
                counts.insert((family, reason), Count { packets: counter.packets, bytes: counter.bytes });
            }
        }
    }
    Ok(counts)
}

/// The counters as metrics, read at each scrape over a socket of their own (about 0.1 ms).
#[derive(Debug)]
pub struct GuardMetrics;

impl GuardMetrics {
    /// Makes them known.
    pub fn register(registry: &mut Registry) {
        registry.register_collector(Box::new(Self));
    }
}

impl Collector for GuardMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = match Kernel::open().and_then(|mut kernel| read(&mut kernel)) {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!(%error, "the guard's counters can't be read");
                return Ok(());
            }
        };
        let help = "Packets to external addresses that the guard took, by reason";
        let mut packets = encoder.encode_descriptor("guard_packets", help, None, MetricType::Counter)?;
        for ((family, reason), count) in &counts {
            let labels = [("family", family.to_string()), ("reason", reason.as_str().to_owned())];
            ConstCounter::new(count.packets).encode(packets.encode_family(&labels)?)?;
        }
        let help = "Bytes of these packets, network headers included";
        let mut bytes = encoder.encode_descriptor("guard", help, Some(&Unit::Bytes), MetricType::Counter)?;
        for ((family, reason), count) in &counts {
            let labels = [("family", family.to_string()), ("reason", reason.as_str().to_owned())];
            ConstCounter::new(count.bytes).encode(bytes.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
