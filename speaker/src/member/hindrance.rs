//! What hinders a member, in sentences that say what to do about it.

use super::Task;
use std::io;
use std::net::Ipv6Addr;

/// A socket could not be opened.
pub(super) fn no_socket(interface: &str, task: Task, port: u16, error: &io::Error) -> String {
    match (task, error.kind()) {
        (Task::Beats, io::ErrorKind::AddrInUse) => format!(
            "no heartbeats on {interface}: UDP port {port} is another program's: end it, or give all speakers another \
             port by --heartbeat-port"
        ),
        (Task::Beats, _) => format!("no heartbeats on {interface}: {error}"),
        _ => format!("no packet socket on {interface}: {error}"),
    }
}

/// A solicited-node group could not be joined.
pub(super) fn no_group(interface: &str, group: Ipv6Addr, error: &io::Error) -> String {
    format!(
        "{interface} can't join the solicited-node group {group}: {error}; is IPv6 disabled there \
         (net.ipv6.conf.{interface}.disable_ipv6)?"
    )
}

/// An interface has no address to send advertisements from.
pub(super) fn no_link_local(interface: &str) -> String {
    format!(
        "{interface} has no IPv6 link-local address, so IPv6 addresses are not announced there: enable IPv6 \
         (net.ipv6.conf.{interface}.disable_ipv6=0) and address generation (ip link set {interface} addrgenmode eui64)"
    )
}
