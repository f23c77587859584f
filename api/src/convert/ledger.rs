//! `VirtualIP` to and from an entry of the ledger.

use crate::virtual_ip::{self, HolderPort, PortProtocol, VirtualIP, VirtualIPSpec};
use herald_core::address::Vip;
use herald_core::allocation::{Holder, LedgerEntry};
use herald_core::names::ServiceKey;
use herald_core::service::{Protocol, ServicePort};
use kube::ResourceExt;

/// Why a `VirtualIP` is set aside. The API server lets none of these in; one that got in otherwise is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The name is no address in its one spelling.
    #[error("VirtualIP {name} is not named after an address: delete it")]
    Name {
        /// The object's name.
        name: String,
    },
    /// The name and `spec.address` differ.
    #[error("VirtualIP {name} says spec.address {address}, which is not its name: delete it")]
    Address {
        /// The object's name.
        name: String,
        /// What it says.
        address: String,
    },
    /// More Services than may use one address.
    #[error("VirtualIP {name} has {holders} holders, and at most one is possible: leave the right one in spec.holders")]
    Holders {
        /// The object's name.
        name: String,
        /// How many.
        holders: usize,
    },
}

/// Reads an entry.
///
/// # Errors
/// Objects whose name, address and holders don't fit together.
pub fn entry(object: &VirtualIP) -> Result<(Vip, LedgerEntry), LedgerError> {
    let name = object.name_any();
    let Some(vip) = Vip::from_object_name(&name) else { return Err(LedgerError::Name { name }) };
    let VirtualIPSpec { address, pool, holders, preferred_node: _, pinned: _ } = &object.spec;
    if *address != vip.to_string() {
        return Err(LedgerError::Address { name, address: address.clone() });
    }
    let holder = match holders.as_slice() {
        [] => None,
        [holder] => Some(read_holder(holder)),
        more => return Err(LedgerError::Holders { name, holders: more.len() }),
    };
    Ok((vip, LedgerEntry { pool: pool.as_str().into(), holder }))
}

/// Writes an entry as the spec of its object.
pub fn spec(vip: Vip, entry: &LedgerEntry) -> VirtualIPSpec {
    VirtualIPSpec {
        address: vip.to_string(),
        pool: entry.pool.to_string(),
        holders: entry.holder.iter().map(write_holder).collect(),
        ..VirtualIPSpec::default()
    }
}

/// Writes an entry as a new object.
pub fn object(vip: Vip, entry: &LedgerEntry) -> VirtualIP {
    VirtualIP::new(&vip.object_name(), spec(vip, entry))
}

fn read_holder(holder: &virtual_ip::Holder) -> Holder {
    let virtual_ip::Holder { namespace, name, uid, ports } = holder;
    Holder {
        key: ServiceKey::new(namespace.as_str(), name),
        uid: uid.as_str().into(),
        // The schema bounds the number: one that can't be a port is none.
        ports: ports.iter().filter_map(|port| port.try_into().ok()).collect(),
    }
}

fn write_holder(holder: &Holder) -> virtual_ip::Holder {
    let Holder { key, uid, ports } = holder;
    virtual_ip::Holder {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        uid: uid.to_string(),
        ports: ports
            .iter()
            .map(|port| HolderPort { protocol: port.protocol.into(), port: i32::from(port.port) })
            .collect(),
    }
}

impl TryFrom<&HolderPort> for ServicePort {
    type Error = std::num::TryFromIntError;

    fn try_from(port: &HolderPort) -> Result<Self, Self::Error> {
        Ok(Self { protocol: port.protocol.into(), port: port.port.try_into()? })
    }
}

impl From<PortProtocol> for Protocol {
    fn from(protocol: PortProtocol) -> Self {
        match protocol {
            PortProtocol::Tcp => Self::Tcp,
            PortProtocol::Udp => Self::Udp,
            PortProtocol::Sctp => Self::Sctp,
        }
    }
}

impl From<Protocol> for PortProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => Self::Sctp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn sample() -> (Vip, LedgerEntry) {
        let ports = [(Protocol::Tcp, 80), (Protocol::Udp, 53)].map(|(protocol, port)| ServicePort { protocol, port });
        let holder = Holder { key: ServiceKey::new("default", "web"), uid: "u1".into(), ports: BTreeSet::from(ports) };
        let vip = Vip::new("2001:db8::10".parse().unwrap()).unwrap();
        (vip, LedgerEntry { pool: "lan".into(), holder: Some(holder) })
    }

    #[test]
    fn an_entry_is_read_back_as_it_was_written() {
        let (vip, full) = sample();
        let empty = LedgerEntry { holder: None, ..full.clone() };
        for written in [full, empty] {
            let object = object(vip, &written);
            assert_eq!(object.name_any(), "2001-0db8-0000-0000-0000-0000-0000-0010");
            assert_eq!(entry(&object), Ok((vip, written)));
        }
    }

    #[test]
    fn objects_that_contradict_themselves_are_set_aside_by_name() {
        let (vip, written) = sample();
        let mut misnamed = object(vip, &written);
        misnamed.metadata.name = Some("web".to_owned());
        assert_eq!(entry(&misnamed).unwrap_err().to_string(), "VirtualIP web is not named after an address: delete it");
        let mut elsewhere = object(vip, &written);
        elsewhere.spec.address = "192.0.2.1".to_owned();
        assert!(matches!(entry(&elsewhere), Err(LedgerError::Address { .. })));
        let mut crowded = object(vip, &written);
        crowded.spec.holders.push(crowded.spec.holders[0].clone());
        assert!(matches!(entry(&crowded), Err(LedgerError::Holders { holders: 2, .. })));
    }
}
