//! The packet socket of one interface, and the priority of the thread that reads it. The only place of the speaker with
//! unsafe code: the C library's calls that Rust's libraries don't wrap.
#![expect(unsafe_code, reason = "packet socket addresses and reading frames in batches with their times")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants and sizes that C declares wider than where it puts them"
)]

use super::StartError;
use herald_core::names::IfIndex;
use herald_wire::filter::{SNAP_LENGTH, resolution_and_echo};
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd;
use std::ptr::from_mut;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::unix::AsyncFd;

/// Frames read with one system call: a flood costs few calls, and others' frames wait for no more than these.
const BATCH: usize = 32;

/// Room for frames that wait in the kernel, in bytes as the kernel counts them: some 5,500 frames, a tenth of a second of a
/// flood of 50,000 a second. A question that is lost costs its asker a second, a late answer some milliseconds.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;

/// linux/if_packet.h: the socket is not shown what this node sends.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Room for one control message with a time.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

/// Frames read together. Empty by default, so that it can be taken out of a struct for a while.
#[derive(Default)]
pub(super) struct Batch {
    buffers: Vec<[u8; SNAP_LENGTH as usize]>,
    read: Vec<(usize, Option<Duration>)>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { buffers: vec![[0; SNAP_LENGTH as usize]; BATCH], read: Vec::with_capacity(BATCH) }
    }

    /// Each frame with the time at which the kernel received it, since 1970.
    pub(super) fn frames(&self) -> impl Iterator<Item = (&[u8], Option<Duration>)> {
        self.buffers.iter().zip(&self.read).map(|(buffer, (length, at))| (buffer.get(..*length).unwrap_or(buffer), *at))
    }
}

/// Whether packet sockets can be had.
pub(super) fn check_permission() -> Result<(), StartError> {
    match Socket::new(Domain::PACKET, Type::RAW, None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(StartError::NotPermitted(error)),
        Err(error) => Err(StartError::Unsupported(error)),
    }
}

/// The least of the real-time priorities: before all ordinary work, behind whatever else is real-time. On a node whose
/// processors are all busy the answering thread would else wait tens of milliseconds for its turn, also with the best
/// niceness (measured: 99 % within 27 to 51 ms against 0.5 ms). It needs little time itself.
const PRIORITY: libc::c_int = 1;

/// Lets the calling thread run before ordinary ones. Needs the capability SYS_NICE, and a control group that allows real-time
/// scheduling; without them things stay as they are.
pub(super) fn raise_priority() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_param.
    let mut parameters: libc::sched_param = unsafe { zeroed() };
    parameters.sched_priority = PRIORITY;
    // SAFETY: the parameters are live during the call; 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Time since 1970 by the clock that the kernel stamps frames with.
#[expect(clippy::disallowed_methods, reason = "compared with the kernel's own timestamps")]
pub(super) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Hears ARP and neighbour discovery on one interface, and sends there.
#[derive(Debug)]
pub(super) struct PacketSocket(AsyncFd<Socket>);

impl PacketSocket {
    /// Listens on an interface. Without a protocol until the filter is in place, so that no other frame slips in.
    ///
    /// Must be called inside a tokio runtime.
    pub(super) fn open(index: IfIndex) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        let filter = resolution_and_echo(0).map(|step| SockFilter::new(step.code, step.jump_true, step.jump_false, step.operand));
        socket.attach_filter(&filter)?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        // Kernels before 4.20 don't know it; there the filter drops our own frames.
        let _unknown_before_4_20 = set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        // Beyond the system's limit only with NET_ADMIN; without it the limit has to do.
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)
            .or_else(|_| set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER))?;
        socket.bind(&address(index))?;
        // SAFETY: the descriptor is the socket's own and stays open and the same until the AsyncFd drops the socket.
        let registered = unsafe { AsyncFd::register(socket) };
        Ok(Self(registered?))
    }

    /// Reads the frames that wait.
    pub(super) fn poll_receive(&self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        loop {
            let mut readiness = ready!(self.0.poll_read_ready(context))?;
            if let Ok(result) = readiness.try_io(|socket| receive(socket.get_ref(), batch)) {
                return Poll::Ready(result);
            }
        }
    }

    /// Sends a frame, or fails at once when the interface takes none now.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.get_ref().send(frame).map(|_| ())
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

fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a live c_int and its length is given.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn receive(socket: &Socket, batch: &mut Batch) -> io::Result<()> {
    batch.read.clear();
    let mut controls = [Control([0; 64]); BATCH];
    let mut pieces: [libc::iovec; BATCH] =
        std::array::from_fn(|_| libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });
    // SAFETY: all-zero is a valid mmsghdr: null pointers and zero lengths.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    let parts = headers.iter_mut().zip(&mut pieces).zip(batch.buffers.iter_mut().zip(&mut controls));
    for ((header, piece), (buffer, control)) in parts {
        *piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        header.msg_hdr.msg_iov = from_mut(piece);
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = size_of::<Control>();
    }
    let count = batch.buffers.len().min(BATCH) as libc::c_uint;
    // SAFETY: every header points to one iovec and one control buffer, all of which outlive the call.
    let read = unsafe {
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, std::ptr::null_mut())
    };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled in the first `read` headers and their control buffers.
    let frames = headers.iter().take(read).map(|header| (header.msg_len as usize, unsafe { time(&header.msg_hdr) }));
    batch.read.extend(frames);
    Ok(())
}

/// When the kernel received a frame, since 1970.
///
/// # Safety
/// The header's control buffer must be valid for its length.
unsafe fn time(header: &libc::msghdr) -> Option<Duration> {
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
