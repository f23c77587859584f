//! The classic-BPF program that runs in the kernel for every frame of an interface, so that only ARP, neighbour discovery and
//! answers to our own echo requests reach the socket.

use crate::ethernet::{ARP, IPV4, IPV6};

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation and addressing mode.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jump_true: u8,
    /// Instructions to skip if it does not.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// How much of a frame that is kept reaches the socket, in bytes: more than any neighbour discovery packet on Ethernet has.
pub const SNAP_LENGTH: u16 = 2048;

// linux/filter.h: load a word, half-word or byte at an absolute position, or behind an index that was set to the length of an
// IPv4 header; compare; return.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const SET_INDEX: u16 = 0xb1;
const LOAD_HALF_BEHIND: u16 = 0x48;
const LOAD_BYTE_BEHIND: u16 = 0x50;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

// Positions from here on are not in the frame: the kernel tells what it knows about it (SKF_AD_OFF).
const ANCILLARY: u32 = 0xffff_f000;
const PACKET_TYPE: u32 = ANCILLARY + 4;
const VLAN_TAG: u32 = ANCILLARY + 44;
const VLAN_TAG_PRESENT: u32 = ANCILLARY + 48;
/// linux/if_packet.h: 0 to us, 1 broadcast, 2 multicast, 3 to another host, 4 sent by us.
const PACKET_OTHERHOST: u32 = 3;

const fn load(code: u16, position: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, operand: position }
}

const fn jump(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, operand }
}

const fn finish(keep: u16) -> Instruction {
    Instruction { code: RETURN, jump_true: 0, jump_false: 0, operand: keep as u32 }
}

/// How many instructions [`resolution_and_echo`] has.
pub const LENGTH: usize = 29;

/// Keeps ARP, neighbour solicitations and neighbour advertisements, and replies to ICMP and ICMPv6 echo requests with this
/// identifier.
///
/// Dropped are frames to other hosts (a promiscuous interface and an unlearned switch bring them) and our own, and frames
/// with a VLAN tag: they belong to the VLAN's own interface and would be answered on the wrong one. A tag with VLAN 0 only
/// carries a priority. Neighbour discovery and echo replies behind extension headers are dropped too: no host sends them; and
/// so are fragments: our requests are small.
pub fn resolution_and_echo(identifier: u16) -> [Instruction; LENGTH] {
    [
        load(LOAD_BYTE, PACKET_TYPE),
        jump(JUMP_GREATER_EQUAL, PACKET_OTHERHOST, 26, 0), // -> drop
        load(LOAD_WORD, VLAN_TAG_PRESENT),
        jump(JUMP_EQUAL, 0, 2, 0), // untagged
        load(LOAD_WORD, VLAN_TAG),
        jump(JUMP_SET, 0x0fff, 22, 0), // a VLAN's number -> drop
        load(LOAD_HALF, 12),           // EtherType
        jump(JUMP_EQUAL, u32::from(ARP), 19, 0),
        jump(JUMP_EQUAL, u32::from(IPV4), 7, 0),
        jump(JUMP_EQUAL, u32::from(IPV6), 0, 18),
        load(LOAD_BYTE, 20), // IPv6 next header: ICMPv6
        jump(JUMP_EQUAL, 58, 0, 16),
        load(LOAD_BYTE, 54), // ICMPv6 type: solicitation, advertisement or echo reply
        jump(JUMP_EQUAL, 135, 13, 0),
        jump(JUMP_EQUAL, 136, 12, 0),
        jump(JUMP_EQUAL, 129, 9, 12),
        load(LOAD_BYTE, 23), // IPv4 protocol: ICMP
        jump(JUMP_EQUAL, 1, 0, 10),
        load(LOAD_HALF, 20), // more fragments, or not the first
        jump(JUMP_SET, 0x3fff, 8, 0),
        load(SET_INDEX, 14),
        load(LOAD_BYTE_BEHIND, 14), // ICMP type: echo reply
        jump(JUMP_EQUAL, 0, 0, 5),
        load(LOAD_HALF_BEHIND, 18), // ICMP identifier
        load(JUMP, 1),
        load(LOAD_HALF, 58), // ICMPv6 identifier
        jump(JUMP_EQUAL, u32::from(identifier), 0, 1),
        finish(SNAP_LENGTH),
        finish(0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arp, ndp};
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// What the kernel knows of a frame besides its bytes.
    #[derive(Clone, Copy, Default)]
    struct Ancillary {
        packet_type: u32,
        vlan: Option<u32>,
    }

    const IDENTIFIER: u16 = 0x1234;

    /// Runs the program as the kernel does: a load behind the end of the frame drops it.
    fn kept(frame: &[u8], known: Ancillary) -> bool {
        let program = resolution_and_echo(IDENTIFIER);
        let (mut at, mut accumulator, mut index) = (0, 0_u32, 0_u32);
        loop {
            let Instruction { code, jump_true, jump_false, operand } = program[at];
            let bytes = |position: u32, width: usize| {
                let position = position as usize;
                let bytes = frame.get(position..position + width)?;
                Some(bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
            };
            at += 1;
            let loaded = match (code, operand) {
                (LOAD_BYTE, PACKET_TYPE) => Some(known.packet_type),
                (LOAD_WORD, VLAN_TAG) => Some(known.vlan.unwrap_or(0)),
                (LOAD_WORD, VLAN_TAG_PRESENT) => Some(u32::from(known.vlan.is_some())),
                (LOAD_BYTE, _) => bytes(operand, 1),
                (LOAD_HALF, _) => bytes(operand, 2),
                (LOAD_BYTE_BEHIND, _) => bytes(operand + index, 1),
                (LOAD_HALF_BEHIND, _) => bytes(operand + index, 2),
                (SET_INDEX, _) => {
                    let Some(byte) = bytes(operand, 1) else { return false };
                    index = (byte & 0xf) * 4;
                    continue;
                }
                (RETURN, _) => return operand != 0,
                (JUMP, _) => {
                    at += operand as usize;
                    continue;
                }
                (JUMP_EQUAL | JUMP_GREATER_EQUAL | JUMP_SET, _) => {
                    let holds = match code {
                        JUMP_EQUAL => accumulator == operand,
                        JUMP_GREATER_EQUAL => accumulator >= operand,
                        _ => accumulator & operand != 0,
                    };
                    at += usize::from(if holds { jump_true } else { jump_false });
                    continue;
                }
                _ => panic!("no such instruction: {code:#x}"),
            };
            let Some(value) = loaded else { return false };
            accumulator = value;
        }
    }

    /// An echo reply with so many bytes of IPv4 options.
    fn echo_reply(options: u8) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00, 0x45 + options / 4, 0, 0, 28 + options, 0, 0, 0x40, 0, 64, 1, 0, 0]);
        frame.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        frame.resize(frame.len() + usize::from(options), 1);
        frame.extend([0, 0, 0, 0, 0x12, 0x34, 0, 1]);
        frame
    }

    fn echo_reply_of_v6() -> Vec<u8> {
        let mut frame = solicitation();
        frame[54] = 129;
        frame[58..60].copy_from_slice(&IDENTIFIER.to_be_bytes());
        frame
    }

    fn request() -> Vec<u8> {
        let message = arp::Message {
            destination: [0xff; 6],
            source: [2; 6],
            operation: arp::Operation::Request,
            sender_mac: [2; 6],
            sender_ip: Ipv4Addr::new(192, 0, 2, 1),
            target_mac: [0; 6],
            target_ip: Ipv4Addr::new(192, 0, 2, 10),
        };
        message.encode()
    }

    fn solicitation() -> Vec<u8> {
        let target = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
        let message = ndp::Message::Solicitation { target, source_link: Some([2; 6]) };
        let (from, to) = (target, ndp::solicited_node_group(target));
        ndp::Packet { destination: ndp::multicast_mac(to), source: [2; 6], from, to, message }.encode()
    }

    #[test]
    fn arp_and_neighbour_discovery_for_this_node_are_kept() {
        for packet_type in [0, 1, 2] {
            let known = Ancillary { packet_type, ..Ancillary::default() };
            assert!(kept(&request(), known));
            assert!(kept(&solicitation(), known));
        }
        let mut advertisement = solicitation();
        advertisement[54] = 136;
        assert!(kept(&advertisement, Ancillary::default()));
    }

    #[test]
    fn replies_to_our_own_echo_requests_are_kept_also_behind_ipv4_options() {
        for frame in [echo_reply(0), echo_reply(4), echo_reply(40), echo_reply_of_v6()] {
            assert!(kept(&frame, Ancillary::default()), "{frame:02x?}");
        }
        for (position, byte) in [(34, 8), (39, 0x35), (23, 17), (20, 0x20), (21, 1), (12, 0x09)] {
            let mut other = echo_reply(0);
            other[position] = byte;
            assert!(!kept(&other, Ancillary::default()), "byte {position} = {byte}");
        }
        for (position, byte) in [(54, 128), (59, 0x35), (20, 17)] {
            let mut other = echo_reply_of_v6();
            other[position] = byte;
            assert!(!kept(&other, Ancillary::default()), "IPv6: byte {position} = {byte}");
        }
        assert!(!kept(&echo_reply(0)[..39], Ancillary::default()));
        assert!(!kept(&echo_reply_of_v6()[..59], Ancillary::default()));
    }

    #[test]
    fn frames_to_others_and_our_own_are_dropped() {
        for packet_type in [3, 4] {
            assert!(!kept(&request(), Ancillary { packet_type, ..Ancillary::default() }));
        }
    }

    #[test]
    fn a_vlan_frame_is_left_to_the_interface_of_its_vlan() {
        let tagged = |vlan| Ancillary { vlan: Some(vlan), ..Ancillary::default() };
        assert!(!kept(&request(), tagged(100)));
        assert!(!kept(&solicitation(), tagged(0x2001)));
        assert!(kept(&request(), tagged(0x2000)), "priority without a VLAN");
    }

    #[test]
    fn everything_else_is_dropped() {
        for (position, byte) in [(12, 0x09), (20, 17), (54, 134), (54, 137)] {
            let mut frame = solicitation();
            frame[position] = byte;
            assert!(!kept(&frame, Ancillary::default()), "byte {position} = {byte}");
        }
        for length in 0..14 {
            assert!(!kept(&request()[..length], Ancillary::default()));
        }
        assert!(!kept(&solicitation()[..54], Ancillary::default()));
    }
}
