//! The classic-BPF program that runs in the kernel for every frame of an interface, so that only ARP and neighbour discovery
//! for this node reach the socket.

use crate::ethernet::{ARP, IPV6};

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

// linux/filter.h: load a word, half-word or byte at an absolute position; compare; return.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
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

/// Keeps ARP, neighbour solicitations and neighbour advertisements.
///
/// Dropped are frames to other hosts (a promiscuous interface and an unlearned switch bring them) and our own, and frames
/// with a VLAN tag: they belong to the VLAN's own interface and would be answered on the wrong one. A tag with VLAN 0 only
/// carries a priority. Neighbour discovery behind extension headers is dropped too: no host sends it.
pub const RESOLUTION: [Instruction; 16] = [
    load(LOAD_BYTE, PACKET_TYPE),
    jump(JUMP_GREATER_EQUAL, PACKET_OTHERHOST, 13, 0), // -> drop
    load(LOAD_WORD, VLAN_TAG_PRESENT),
    jump(JUMP_EQUAL, 0, 2, 0), // untagged
    load(LOAD_WORD, VLAN_TAG),
    jump(JUMP_SET, 0x0fff, 9, 0), // a VLAN's number -> drop
    load(LOAD_HALF, 12),          // EtherType
    jump(JUMP_EQUAL, ARP as u32, 6, 0),
    jump(JUMP_EQUAL, IPV6 as u32, 0, 6),
    load(LOAD_BYTE, 20), // IPv6 next header
    jump(JUMP_EQUAL, 58, 0, 4),
    load(LOAD_BYTE, 54), // ICMPv6 type
    jump(JUMP_EQUAL, 135, 1, 0),
    jump(JUMP_EQUAL, 136, 0, 1),
    finish(SNAP_LENGTH),
    finish(0),
];

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

    /// Runs the program as the kernel does: a load behind the end of the frame drops it.
    fn kept(frame: &[u8], known: Ancillary) -> bool {
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let Instruction { code, jump_true, jump_false, operand } = RESOLUTION[at];
            let bytes = |width: usize| {
                frame
                    .get(operand as usize..operand as usize + width)
                    .map(|bytes| bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
            };
            let loaded = match operand {
                PACKET_TYPE => Some(known.packet_type),
                VLAN_TAG => Some(known.vlan.unwrap_or(0)),
                VLAN_TAG_PRESENT => Some(u32::from(known.vlan.is_some())),
                _ => bytes(match code {
                    LOAD_BYTE => 1,
                    LOAD_HALF => 2,
                    _ => 4,
                }),
            };
            let condition = match code {
                LOAD_BYTE | LOAD_HALF | LOAD_WORD => {
                    let Some(value) = loaded else { return false };
                    accumulator = value;
                    at += 1;
                    continue;
                }
                JUMP_EQUAL => accumulator == operand,
                JUMP_GREATER_EQUAL => accumulator >= operand,
                JUMP_SET => accumulator & operand != 0,
                _ => return operand != 0,
            };
            at += 1 + usize::from(if condition { jump_true } else { jump_false });
        }
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
