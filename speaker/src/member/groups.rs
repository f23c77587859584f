//! Membership in solicited-node groups, so that switches which snoop and network cards which filter let questions through.
//!
//! Joined as an ordinary IPv6 socket does, so that the kernel sends the MLD reports, now and after a link flap.

use herald_core::names::IfIndex;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;

/// Memberships of one socket: the kernel charges some 48 bytes for each against `optmem_max`, 20 KB on older kernels.
const PER_SOCKET: usize = 256;

/// All memberships of this speaker.
#[derive(Debug, Default)]
pub(super) struct Groups {
    sockets: Vec<(Socket, usize)>,
    /// Which socket holds each membership.
    joined: BTreeMap<(IfIndex, Ipv6Addr), usize>,
    /// Memberships that the kernel refused so far.
    refused: BTreeSet<(IfIndex, Ipv6Addr)>,
}

impl Groups {
    /// Becomes a member. After a failure it is tried again with [`Groups::retry`].
    pub(super) fn join(&mut self, link: IfIndex, group: Ipv6Addr) -> io::Result<()> {
        if self.joined.contains_key(&(link, group)) {
            return Ok(());
        }
        let joined = self.roomy_socket().and_then(|position| {
            if let Some((socket, members)) = self.sockets.get_mut(position) {
                socket.join_multicast_v6(&group, link.0)?;
                *members += 1;
            }
            Ok(position)
        });
        match joined {
            Ok(position) => {
                self.refused.remove(&(link, group));
                self.joined.insert((link, group), position);
                Ok(())
            }
            Err(error) => {
                self.refused.insert((link, group));
                Err(error)
            }
        }
    }

    /// Tries what was refused again: IPv6 may have come up on an interface meanwhile.
    pub(super) fn retry(&mut self) {
        for (link, group) in std::mem::take(&mut self.refused) {
            if let Err(error) = self.join(link, group) {
                tracing::debug!(link = link.0, %group, %error, "the solicited-node group is still refused");
            }
        }
    }

    /// Whether memberships on an interface are refused.
    pub(super) fn is_refused(&self, link: IfIndex) -> bool {
        self.refused.iter().any(|(refusing, _)| *refusing == link)
    }

    /// Ends a membership.
    pub(super) fn leave(&mut self, link: IfIndex, group: Ipv6Addr) {
        self.refused.remove(&(link, group));
        let Some(position) = self.joined.remove(&(link, group)) else { return };
        let Some((socket, members)) = self.sockets.get_mut(position) else { return };
        *members = members.saturating_sub(1);
        // The kernel has ended it already if the interface is gone.
        if let Err(error) = socket.leave_multicast_v6(&group, link.0) {
            tracing::debug!(link = link.0, %group, %error, "leaving a solicited-node group");
        }
    }

    /// Ends all memberships on interfaces that are gone.
    pub(super) fn keep_only(&mut self, is_there: impl Fn(IfIndex) -> bool) {
        let all = self.joined.keys().chain(&self.refused);
        let gone: Vec<_> = all.copied().filter(|(link, _)| !is_there(*link)).collect();
        for (link, group) in gone {
            self.leave(link, group);
        }
    }

    fn roomy_socket(&mut self) -> io::Result<usize> {
        if let Some(position) = self.sockets.iter().position(|(_, members)| *members < PER_SOCKET) {
            return Ok(position);
        }
        self.sockets.push((Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?, 0));
        Ok(self.sockets.len() - 1)
    }
}
