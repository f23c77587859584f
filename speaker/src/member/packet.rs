//! The packet socket of one interface: hears address resolution and echo replies, sends frames.
#![expect(unsafe_code, reason = "packet socket addresses and the registration with the event loop")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants and sizes that C declares wider than where it puts them"
)]

use super::StartError;
use super::batch::Batch;
use super::clocks::now;
use herald_core::names::IfIndex;
use herald_wire::filter::resolution_and_echo;
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::unix::AsyncFd;

/// Room for frames that wait in the kernel, in bytes as the kernel counts them: some 5,500 frames, a tenth of a second of a
/// flood of 50,000 a second. A question that is lost costs its asker a second, a late answer some milliseconds.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;

/// linux/if_packet.h: the socket is not shown what this node sends.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Whether packet sockets can be had.
pub(super) fn check_permission() -> Result<(), StartError> {
    match Socket::new(Domain::PACKET, Type::RAW, None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(StartError::NotPermitted(error)),
        Err(error) => Err(StartError::Unsupported(error)),
    }
}

/// Hears ARP, neighbour discovery and echo replies on one interface, and sends there.
#[derive(Debug)]
pub(super) struct PacketSocket {
    descriptor: AsyncFd<Socket>,
    nothing_waited: Instant,
}

impl PacketSocket {
    /// Listens on an interface, for echo replies with this identifier too. Without a protocol until the filter is in place,
    /// so that no other frame slips in.
    ///
    /// Must be called inside a tokio runtime.
    pub(super) fn open(index: IfIndex, echo: u16) -> io::Result<Self> {
        let nothing_waited = now();
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        let program = resolution_and_echo(echo);
        let filter = program.map(|step| SockFilter::new(step.code, step.jump_true, step.jump_false, step.operand));
        socket.attach_filter(&filter)?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        // Kernels before 4.20 don't know it; there the filter drops our own frames.
        let _unknown_before_4_20 = set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        enlarge(&socket, RECEIVE_BUFFER)?;
        socket.bind(&address(index))?;
        // SAFETY: the descriptor is the socket's own and stays open and the same until the AsyncFd drops the socket.
        let descriptor = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { descriptor, nothing_waited })
    }

    /// Waits for frames, and reads them. That the interface went down is no news: what comes after it came up again is heard.
    pub(super) fn poll_receive(&mut self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<()> {
        while let Ok(mut readiness) = ready!(self.descriptor.poll_read_ready(context)) {
            let result = batch.receive(readiness.get_inner(), &mut self.nothing_waited);
            if !batch.is_full() {
                // The kernel tells when there is something again.
                readiness.clear_ready();
            }
            if !batch.is_empty() {
                return Poll::Ready(());
            }
            if let Err(error) = result {
                tracing::trace!(%error, "no frames");
            }
        }
        // The event loop has ended.
        Poll::Pending
    }

    /// Sends a frame, or fails at once when the interface takes none now.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.descriptor.get_ref().send(frame).map(|_| ())
    }
}

fn address(index: IfIndex) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is a socket address type and fits into the storage, as view_as checks.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index.0.cast_signed();
    // SAFETY: the storage holds a sockaddr_ll, whose length this is.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}

/// Asks for room in the kernel. Beyond the system's limit only with NET_ADMIN; without it the limit has to do.
pub(super) fn enlarge(socket: &Socket, bytes: libc::c_int) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
}

pub(super) fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a live c_int and its length is given.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
