//! What the API server checks of a pool's addresses: rules in CEL, with messages that say what to write instead.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Most entries in one pool.
const MAX_ENTRIES: usize = 256;

/// The longest entry: two IPv6 addresses with an embedded IPv4 part (45 characters each) and the dash.
const MAX_ENTRY_LENGTH: usize = 91;

const IS_RANGE: &str = "self.split('-').size() == 2 && self.split('-').all(end, isIP(end))";

pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "CIDRs (192.0.2.0/24), ranges (192.0.2.10-192.0.2.20) and single addresses, IPv4 and IPv6 mixed freely. \
            They are given out in this order, each from its lowest address.",
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_ENTRIES,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_ENTRY_LENGTH,
            "x-kubernetes-validations": [well_formed(), no_host_bits(), one_family(), forwards(), unicast()],
        },
    })
}

fn well_formed() -> serde_json::Value {
    serde_json::json!({
        "rule": format!("isIP(self) || isCIDR(self) || ({IS_RANGE})"),
        "messageExpression": "self.lowerAscii().startsWith('::ffff:') \
            ? self + ' is IPv4 written as IPv6: write it as IPv4' \
            : self + ' is not a CIDR (192.0.2.0/24), range (192.0.2.10-192.0.2.20) or address (192.0.2.10)'",
        "message": "must be a CIDR (192.0.2.0/24), range (192.0.2.10-192.0.2.20) or address (192.0.2.10)",
    })
}

fn no_host_bits() -> serde_json::Value {
    serde_json::json!({
        "rule": "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        "messageExpression": "self + ' has host bits set: write ' + string(cidr(self).masked()) + ' for the whole network, or '
            + string(cidr(self).ip()) + ' for the one address'",
        "message": "has host bits set: write the network's first address before the slash",
    })
}

fn one_family() -> serde_json::Value {
    serde_json::json!({
        "rule": format!("!({IS_RANGE}) || ip(self.split('-')[0]).family() == ip(self.split('-')[1]).family()"),
        "messageExpression": "self + ' mixes IPv4 and IPv6: write one range for each family'",
        "message": "mixes IPv4 and IPv6: write one range for each family",
    })
}

/// Addresses have no order in CEL, so both ends are written with all their digits and compared as text.
fn forwards() -> serde_json::Value {
    let v4 = "string(ip(end)).split('.').map(part, ('00' + part).substring(part.size() - 1)).join('.')";
    let groups = "split(':').filter(group, group != '')";
    let v6 = format!(
        "string(ip(end)).split('::').map(half, half.{groups}.map(group, ('000' + group).substring(group.size() - 1)).join(''))\
        .join('00000000000000000000000000000000'.substring(4 * string(ip(end)).{groups}.size()))"
    );
    serde_json::json!({
        "rule": format!("!({IS_RANGE}) || self.split('-').map(end, ip(end).family() == 4 ? {v4} : {v6}).isSorted()"),
        "messageExpression":
            "self + ' runs backwards: write ' + self.split('-')[1] + '-' + self.split('-')[0]",
        "message": "runs backwards: write the lower address first",
    })
}

fn unicast() -> serde_json::Value {
    serde_json::json!({
        "rule": format!(
            "(isIP(self) ? [ip(self)] : isCIDR(self) ? [cidr(self).ip()] : {IS_RANGE} ? self.split('-').map(end, ip(end)) : [])\
            .all(address, !address.isUnspecified() && !address.isLoopback() && !address.isLinkLocalUnicast() \
            && !cidr('224.0.0.0/4').containsIP(address) && !cidr('ff00::/8').containsIP(address) \
            && address != ip('255.255.255.255'))"
        ),
        "messageExpression":
            "self + ' holds unspecified, loopback, link-local, multicast or broadcast addresses, which no Service can have'",
        "message": "holds unspecified, loopback, link-local, multicast or broadcast addresses, which no Service can have",
    })
}
