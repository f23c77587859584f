//! What the API server checks of a pool's addresses: rules in CEL, with messages that say what to write instead.
//!
//! The API server accepts a rule only if its worst case is cheap, and takes every text whose length it can't derive for
//! megabytes long. Hence `substring` instead of `split`, `format` instead of `+` where an address is written out, and
//! `!(a == b)` instead of `a != b`, whose cost it doesn't know.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use std::ops::Range;

/// Most entries in one pool.
const MAX_ENTRIES: usize = 256;

/// The longest entry: two IPv6 addresses of 39 characters and the dash.
const MAX_ENTRY_LENGTH: usize = 79;

const FIRST: &str = "self.substring(0, self.indexOf('-'))";
const LAST: &str = "self.substring(self.indexOf('-') + 1)";

pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_ENTRIES,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_ENTRY_LENGTH,
            "x-kubernetes-validations": [
                well_formed(),
                no_host_bits(),
                one_family(),
                forwards(4, 0..32),
                forwards(6, 0..64), // all lengths in one rule would be too dear
                forwards(6, 64..128),
                unicast(),
            ],
        },
    })
}

fn is_range() -> String {
    format!("self.indexOf('-') > 0 && isIP({FIRST}) && isIP({LAST})")
}

fn well_formed() -> Value {
    json!({
        "rule": format!("isIP(self) || isCIDR(self) || ({})", is_range()),
        "messageExpression": "self.lowerAscii().startsWith('::ffff:') \
            ? 'is IPv4 written as IPv6: write it as IPv4' \
            : 'is not a CIDR (192.0.2.0/24), range (192.0.2.10-192.0.2.20) or address (192.0.2.10)'",
        "message": "must be a CIDR (192.0.2.0/24), range (192.0.2.10-192.0.2.20) or address (192.0.2.10)",
    })
}

fn no_host_bits() -> Value {
    json!({
        "rule": "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        "messageExpression": "'has host bits set: write %s for the whole network or %s for the one address'\
            .format([string(cidr(self).masked()), string(cidr(self).ip())])",
        "message": "has host bits set: write the network's first address before the slash",
    })
}

fn one_family() -> Value {
    json!({
        "rule": format!("!({}) || ip({FIRST}).family() == ip({LAST}).family()", is_range()),
        "message": "mixes IPv4 and IPv6: write one range for each family",
    })
}

/// CEL can't compare addresses, but it can cut networks. A range runs backwards if some network around its last address
/// holds both ends, and that network's lower half holds the last address but not the first.
fn forwards(family: u8, prefixes: Range<u8>) -> Value {
    let lengths: Vec<_> = prefixes.map(|length| format!("'/{length},/{}'", length + 1)).collect();
    let rule = format!(
        "!({is_range} && ip({FIRST}).family() == {family} && ip({LAST}).family() == {family}) || \
        [ip({FIRST})].all(first, [{LAST}].all(last, [{lengths}].all(pair, \
        [cidr(last + pair.substring(0, pair.indexOf(',')))].all(both, \
        [cidr(last + pair.substring(pair.indexOf(',') + 1))].all(half, \
        !both.containsIP(first) || half.containsIP(first) || !half.containsIP(both.masked().ip()))))))",
        is_range = is_range(),
        lengths = lengths.join(", "),
    );
    json!({
        "rule": rule,
        "messageExpression": format!("'runs backwards: write ' + {LAST} + '-' + {FIRST}"),
        "message": "runs backwards: write the lower address first",
    })
}

fn unicast() -> Value {
    json!({
        "rule": format!(
            "[isIP(self) ? ip(self) : isCIDR(self) ? cidr(self).ip() : {is_range} ? ip({FIRST}) : ip('192.0.2.1'), \
            {is_range} ? ip({LAST}) : ip('192.0.2.1')]\
            .all(end, !end.isUnspecified() && !end.isLoopback() && !end.isLinkLocalUnicast() \
            && !cidr('224.0.0.0/4').containsIP(end) && !cidr('ff00::/8').containsIP(end) && !(end == ip('255.255.255.255')))",
            is_range = is_range(),
        ),
        "message": "holds unspecified, loopback, link-local, multicast or broadcast addresses, which no Service can have",
    })
}
