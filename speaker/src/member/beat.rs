//! The heartbeat socket of one interface and address family: datagrams to and from peers on the segment, and refusals.
//!
//! One unconnected socket serves all peers. The kernel queues an ICMP error with the address of the peer it is about, so a
//! refusal is known to be that peer's without a connected socket for each.
#![expect(unsafe_code, reason = "the error queue of a socket and the registration with the event loop")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants and sizes that C declares wider than where it puts them"
)]

use super::batch::{self, Batch};
use super::clocks::now;
use super::packet::{enlarge, set_option};
use herald_core::link::Link;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr::from_mut;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Room for datagrams that wait in the kernel, in bytes as the kernel counts them: some 1,300, which eight neighbours send
/// within 16 s at ten a second.
const RECEIVE_BUFFER: libc::c_int = 1 << 20;

/// asm-generic/socket.h: a queued error is told to the event loop as urgent data.
const SO_SELECT_ERR_QUEUE: libc::c_int = 45;

/// Network control (RFC 4594, class selector 6), as routing protocols use: not to be lost behind bulk data.
const TRAFFIC_CLASS: u32 = 0xc0;

/// Between neighbours: no router forwards it.
const HOPS: u32 = 1;

/// Errors read at once; a kernel sends one a second to each of its peers after a burst of six.
const ERRORS_AT_ONCE: usize = 64;

/// An address family, of which each interface has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(super) const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Sends and receives heartbeats on one interface.
#[derive(Debug)]
pub(super) struct BeatSocket {
    descriptor: AsyncFd<Socket>,
    /// The interface, as the scope of link-local addresses.
    scope: u32,
    port: u16,
    nothing_waited: Instant,
}

impl BeatSocket {
    /// Listens on an interface, whatever addresses it has or gets, and on no other.
    ///
    /// Must be called inside a tokio runtime.
    pub(super) fn open(link: &Link, family: Family, port: u16) -> io::Result<Self> {
        let nothing_waited = now();
        let (domain, any) = match family {
            Family::V4 => (Domain::IPV4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Family::V6 => (Domain::IPV6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        match family {
            Family::V4 => {
                socket.set_ttl_v4(HOPS)?;
                socket.set_tos_v4(TRAFFIC_CLASS)?;
                set_option(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                socket.set_unicast_hops_v6(HOPS)?;
                socket.set_tclass_v6(TRAFFIC_CLASS)?;
                set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
            }
        }
        set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        set_option(&socket, libc::SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1)?;
        enlarge(&socket, RECEIVE_BUFFER)?;
        socket.bind_device(Some(link.name.as_str().as_bytes()))?;
        socket.bind(&SocketAddr::new(any, port).into())?;
        // SAFETY: the descriptor is the socket's own and stays open and the same until the AsyncFd drops the socket.
        let descriptor = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::PRIORITY) }?;
        Ok(Self { descriptor, scope: link.index.0, port, nothing_waited })
    }

    /// Waits for datagrams or refusals, and reads them.
    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut Batch,
        refusals: &mut Vec<IpAddr>,
    ) -> Poll<()> {
        while let Ok(mut readiness) = ready!(self.descriptor.poll_read_ready(context)) {
            let more = receive(readiness.get_inner(), batch, &mut self.nothing_waited, refusals);
            if !more {
                // The kernel tells when there is something again.
                readiness.clear_ready();
            }
            if more || !batch.is_empty() || !refusals.is_empty() {
                return Poll::Ready(());
            }
        }
        // The event loop has ended.
        Poll::Pending
    }

    /// Reads what waits, whether or not the event loop knows of it yet. Returns whether more may wait.
    pub(super) fn receive_now(&mut self, batch: &mut Batch, refusals: &mut Vec<IpAddr>) -> bool {
        receive(self.descriptor.get_ref(), batch, &mut self.nothing_waited, refusals)
    }

    /// Sends a datagram to a peer, or fails at once. That an earlier one was refused by whomever does not keep this one back.
    pub(super) fn send(&self, datagram: &[u8], to: IpAddr) -> io::Result<()> {
        let to = match to {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                SocketAddr::V6(SocketAddrV6::new(address, self.port, 0, self.scope))
            }
            address => SocketAddr::new(address, self.port),
        };
        let to = to.into();
        let send = || self.descriptor.get_ref().send_to(datagram, &to).map(|_| ());
        match send() {
            // The socket tells of the error that waits in its queue, once, instead of sending.
            Err(error) if is_about_an_earlier_one(&error) => send(),
            result => result,
        }
    }
}

fn is_about_an_earlier_one(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable)
}

/// Reads datagrams, and the refusals if there are no more datagrams. Returns whether more may wait.
fn receive(socket: &Socket, batch: &mut Batch, nothing_waited: &mut Instant, refusals: &mut Vec<IpAddr>) -> bool {
    refusals.clear();
    let read = batch.receive(socket, nothing_waited);
    if batch.is_full() {
        return true;
    }
    // The queue's error shows up in place of datagrams once.
    let hidden = read.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
    let mut errors = 0;
    while errors < ERRORS_AT_ONCE
        && let Ok(refusal) = next_error(socket)
    {
        errors += 1;
        refusals.extend(refusal);
    }
    hidden || errors == ERRORS_AT_ONCE
}

/// Room for the control messages of an error: what happened and who says so.
#[repr(C, align(8))]
struct Control([u8; 256]);

/// Takes an error from the queue: the peer that refused, if that is what it says. Only the peer itself can refuse; what routers
/// and our own kernel say about the way is none.
fn next_error(socket: &Socket) -> io::Result<Option<IpAddr>> {
    let mut control = Control([0; 256]);
    // SAFETY: all-zero is a valid sockaddr_storage, of no family.
    let mut name: libc::sockaddr_storage = unsafe { zeroed() };
    // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = from_mut(&mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>();
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the header's name and control buffer are live during the call; there is no room for the datagram's bytes.
    if unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let peer = batch::address(&name, header.msg_namelen);
    // SAFETY: the kernel has filled in the control buffer, up to the length it has set.
    let refusing = unsafe { refusing(&header) };
    Ok(peer.filter(|peer| refusing == Some(*peer)))
}

/// Who says that nobody listens on the port.
///
/// # Safety
/// The header's control buffer must be valid for its length.
unsafe fn refusing(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the control buffer is valid as the caller says, and the macros stay within its length; the kernel puts the
    // offender's address behind each error.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = next.as_ref() {
            let kind = (message.cmsg_level, message.cmsg_type);
            if kind == (libc::IPPROTO_IP, libc::IP_RECVERR) || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) {
                #[expect(clippy::cast_ptr_alignment, reason = "read as unaligned")]
                let error = libc::CMSG_DATA(next).cast::<libc::sock_extended_err>();
                let is_remote =
                    matches!(error.read_unaligned().ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
                let is_refusal = error.read_unaligned().ee_errno.cast_signed() == libc::ECONNREFUSED;
                return (is_remote && is_refusal).then(|| offender(error)).flatten();
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    None
}

/// The address behind an error.
///
/// # Safety
/// The error must lie in a control buffer that the kernel filled in, which has room for a `sockaddr_in6` behind it.
unsafe fn offender(error: *const libc::sock_extended_err) -> Option<IpAddr> {
    // SAFETY: behind the error lies a sockaddr_in or sockaddr_in6, as its family says.
    unsafe {
        let offender = libc::SO_EE_OFFENDER(error);
        match i32::from((&raw const (*offender).sa_family).read_unaligned()) {
            libc::AF_INET => {
                let address = offender.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let address = offender.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
