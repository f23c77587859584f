//! The netlink socket to nf_tables: sends batches and questions, waits for nobody.
//!
//! The kernel handles a message within the call that sends it, so every answer is there when the call returns (a dump's next
//! part as soon as the last one is read) and the socket never blocks. A call takes as long as the kernel's work:
//! about 0.3 ms for inserted elements, tens of milliseconds for deleted ones.

use super::SteeringError;
use herald_wire::nft::{Batch, Item, Reply, Request, replies};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{self, ErrorKind};

/// Room for what a batch is answered with: one acknowledgement per statement, each under 1 KiB of kernel memory.
const RECEIVE_BYTES: usize = 4 << 20;
/// A dump that other writers interrupt is asked for again: kube-proxy's changes count as interruptions too, and it writes for
/// some milliseconds at most once a second.
const DUMP_ATTEMPTS: usize = 100;

#[derive(Debug)]
pub(super) struct Kernel {
    socket: Socket,
    sequence: u32,
}

/// A batch or question the kernel did not carry out.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The statement, in words.
    pub(super) what: String,
    /// Why.
    pub(super) errno: i32,
}

impl Kernel {
    /// # Errors
    /// No netfilter in the kernel.
    pub(super) fn open() -> Result<Self, SteeringError> {
        let socket = Socket::new(NETLINK_NETFILTER).map_err(|error| match error.raw_os_error() {
            Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => SteeringError::MissingNfTables { errno: error },
            _ => SteeringError::Socket(error),
        })?;
        socket.set_non_blocking(true).map_err(SteeringError::Socket)?;
        // Without it an error carries the whole message that failed. An old kernel may; the buffer takes either.
        socket.set_cap_ack(true).map_err(SteeringError::Socket)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Carries out a batch: wholly or not at all.
    pub(super) fn execute(&mut self, batch: &Batch) -> Result<(), SteeringError> {
        if batch.is_empty() {
            return Ok(());
        }
        let first = self.next_sequence(batch.statements().len() + 2);
        let bytes = batch.encode(first)?;
        self.make_room(bytes.len())?;
        self.send(&bytes)?;
        let mut done = 0;
        let mut refusal = None;
        while let Some(replies) = self.receive()? {
            for reply in replies {
                match reply {
                    Reply::Failed { sequence, errno } if refusal.is_none() => {
                        let what = batch.statement(first, sequence).map(ToString::to_string);
                        refusal =
                            Some(Refusal { what: what.unwrap_or_else(|| "a batch of changes".to_owned()), errno });
                    }
                    Reply::Done { .. } => done += 1,
                    _ => {}
                }
            }
        }
        match refusal {
            Some(refusal) => Err(refusal.into()),
            None if done == batch.statements().len() => Ok(()),
            None => Err(SteeringError::Socket(io::Error::other("the kernel left part of a batch unanswered"))),
        }
    }

    /// Asks; what does not exist is answered with nothing.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Vec<Item>, SteeringError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(items) = self.ask_once(request)? {
                return Ok(items);
            }
        }
        Err(SteeringError::Interrupted { attempts: DUMP_ATTEMPTS })
    }

    /// `None` if somebody changed rules meanwhile.
    fn ask_once(&mut self, request: &Request) -> Result<Option<Vec<Item>>, SteeringError> {
        let asked = self.next_sequence(1);
        let Some(bytes) = request.encode(asked) else { return Ok(Some(Vec::new())) };
        self.send(&bytes)?;
        let mut items = Vec::new();
        let mut disturbed = false;
        while let Some(replies) = self.receive()? {
            for reply in replies.into_iter().filter(|reply| reply.sequence() == asked) {
                match reply {
                    Reply::Item { item, interrupted, .. } => {
                        disturbed |= interrupted;
                        items.push(item);
                    }
                    Reply::Failed { errno: libc::ENOENT, .. } | Reply::Done { .. } => {}
                    Reply::Failed { errno: libc::EINTR, .. } => disturbed = true,
                    Reply::Failed { errno, .. } => {
                        return Err(Refusal { what: format!("asking for {request:?}"), errno }.into());
                    }
                }
            }
        }
        Ok((!disturbed).then_some(items))
    }

    fn next_sequence(&mut self, messages: usize) -> u32 {
        let first = self.sequence;
        self.sequence = first.wrapping_add(u32::try_from(messages).unwrap_or(u32::MAX));
        first
    }

    /// The kernel takes a batch in one piece or not at all; its usual limit is 208 KiB.
    fn make_room(&self, batch: usize) -> Result<(), SteeringError> {
        // The kernel counts its own bookkeeping too, hence twice.
        let refused = |error: nix::Error| Refusal { what: "making room for a batch".to_owned(), errno: error as i32 };
        setsockopt(&self.socket, sockopt::SndBufForce, &batch.saturating_mul(2)).map_err(refused)?;
        setsockopt(&self.socket, sockopt::RcvBufForce, &RECEIVE_BYTES).map_err(refused)?;
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), SteeringError> {
        let kernel = SocketAddr::new(0, 0);
        self.socket.send_to(bytes, &kernel, 0).map(drop).map_err(SteeringError::Socket)
    }

    /// One datagram, or nothing if all were read.
    fn receive(&self) -> Result<Option<Vec<Reply>>, SteeringError> {
        match self.socket.recv_from_full() {
            Ok((bytes, _)) => Ok(Some(replies(&bytes)?)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(SteeringError::Socket(error)),
        }
    }
}
