//! Reads frames or datagrams from a socket, many with one system call, each with its sender and the time at which the kernel
//! received it.
#![expect(unsafe_code, reason = "reading in batches is a call of the C library that Rust's libraries don't wrap")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants and sizes that C declares wider than where it puts them"
)]

use super::clocks::{Clocks, now};
use herald_wire::filter::SNAP_LENGTH;
use socket2::{SockAddr, SockAddrStorage, Socket};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::ptr::from_mut;
use std::time::{Duration, Instant};

/// Read with one system call: a flood costs few calls, and others wait for no more than these.
const BATCH: usize = 32;

/// Room for one control message with a time.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

/// What was read together. Empty by default, so that it can be taken out of a struct for a while.
#[derive(Default)]
pub(super) struct Batch {
    buffers: Vec<[u8; SNAP_LENGTH as usize]>,
    read: Vec<Facts>,
}

struct Facts {
    length: usize,
    received: Instant,
    source: Option<IpAddr>,
}

/// One frame or datagram.
pub(super) struct Arrival<'a> {
    /// Its bytes; at most [`SNAP_LENGTH`].
    pub(super) bytes: &'a [u8],
    /// When the kernel received it.
    pub(super) received: Instant,
    /// The sender, of a datagram.
    pub(super) source: Option<IpAddr>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { buffers: vec![[0; SNAP_LENGTH as usize]; BATCH], read: Vec::with_capacity(BATCH) }
    }

    /// What was read, in order.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        self.buffers.iter().zip(&self.read).map(|(buffer, facts)| Arrival {
            bytes: buffer.get(..facts.length).unwrap_or(buffer),
            received: facts.received,
            source: facts.source,
        })
    }

    /// Whether nothing was there.
    pub(super) const fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// Whether more may wait in the kernel.
    pub(super) const fn is_full(&self) -> bool {
        self.read.len() == BATCH
    }

    /// Reads what waits, without waiting. Nothing is left of the last reading. `nothing_waited` is the last time at which
    /// the socket was known to be empty.
    pub(super) fn receive(&mut self, socket: &Socket, nothing_waited: &mut Instant) -> io::Result<()> {
        self.read.clear();
        let begun = now();
        let mut controls = [Control([0; 64]); BATCH];
        // SAFETY: all-zero is a valid sockaddr_storage, of no family.
        let mut names: [libc::sockaddr_storage; BATCH] = unsafe { zeroed() };
        let mut pieces: [libc::iovec; BATCH] =
            std::array::from_fn(|_| libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });
        // SAFETY: all-zero is a valid mmsghdr: null pointers and zero lengths.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let rooms = self.buffers.iter_mut().zip(&mut controls).zip(&mut names);
        for ((header, piece), ((buffer, control), name)) in headers.iter_mut().zip(&mut pieces).zip(rooms) {
            *piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            header.msg_hdr.msg_name = from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = from_mut(piece);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
        }
        let count = self.buffers.len().min(BATCH) as libc::c_uint;
        // SAFETY: every header points to one iovec, one name and one control buffer, all of which outlive the call.
        let read = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        let clocks = Clocks::read();
        let facts = headers.iter().zip(&names).take(read).map(|(header, name)| Facts {
            length: header.msg_len as usize,
            // SAFETY: the kernel has filled in the first `read` headers and their control buffers.
            received: clocks.arrival(unsafe { stamp(&header.msg_hdr) }, *nothing_waited),
            source: address(name, header.msg_hdr.msg_namelen),
        });
        self.read.extend(facts);
        if !self.is_full() {
            *nothing_waited = begun;
        }
        Ok(())
    }
}

/// When the kernel received a message, since 1970.
///
/// # Safety
/// The header's control buffer must be valid for its length.
unsafe fn stamp(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the control buffer is valid as the caller says, and the macros stay within its length.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(header);
        let is_time = first.as_ref()?.cmsg_type == libc::SCM_TIMESTAMPNS && (*first).cmsg_level == libc::SOL_SOCKET;
        if !is_time {
            return None;
        }
        let time = libc::CMSG_DATA(first).cast::<libc::timespec>().read_unaligned();
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
}

/// The IP address in a name that the kernel filled in; `None` if it is of another family.
pub(super) fn address(name: &libc::sockaddr_storage, length: libc::socklen_t) -> Option<IpAddr> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_storage is the storage's own type.
    *unsafe { storage.view_as::<libc::sockaddr_storage>() } = *name;
    let length = length.min(storage.size_of());
    // SAFETY: the storage holds an address of this length, as the kernel says; what lies beyond it is zero.
    let address = unsafe { SockAddr::new(storage, length) };
    address.as_socket().map(|address| address.ip())
}
