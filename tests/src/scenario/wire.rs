//! What the LAN says of an address, asked and read by scapy: never by code of ours.

use std::net::IpAddr;

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use herald_core::mac::MacAddr;

use super::observer::Attempt;
use crate::lab::topology::{LAN_CLIENT, LAN_INTERFACE};
use crate::lab::{Frame, Lab};

/// The programs that ask, in Python.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scenario/wire");

/// Debian's own, for which python3-scapy is installed; another may come before it in `PATH`.
const PYTHON: &str = "/usr/bin/python3";

/// How long answers are waited for, in seconds: thousands of times what an answer takes.
const WAIT: &str = "0.7";

/// Asks the LAN once, by ARP or by neighbour solicitation from `lan-client`, who has an address; returns the MAC
/// addresses that answered, each once, sorted.
pub async fn who_has(lab: &Lab, address: IpAddr) -> Result<Vec<String>> {
    let script = format!("{DIRECTORY}/who_has.py");
    let command = [PYTHON, &script, LAN_INTERFACE, &address.to_string(), WAIT];
    let said = lab.exec(LAN_CLIENT, &command).await?.text()?;
    serde_json::from_str(&said).with_context(|| format!("who_has.py said {said:?}"))
}

/// Sends one SCTP INIT from a host to a port of an address; returns what came back: `"icmp TYPE/CODE"` for an ICMP error
/// about it, `"sctp abort"`, `"sctp init-ack"`, or nothing.
pub async fn sctp_init(lab: &Lab, host: &str, address: IpAddr, port: u16) -> Result<Option<String>> {
    let script = format!("{DIRECTORY}/sctp_init.py");
    let command = [PYTHON, &script, LAN_INTERFACE, &address.to_string(), &port.to_string(), WAIT];
    let said = lab.exec(host, &command).await?.text()?;
    serde_json::from_str(&said).with_context(|| format!("sctp_init.py said {said:?}"))
}

/// The MAC address that a host's kernel has for a neighbour, and its state, as `ip` tells it; none if it has none.
pub async fn neighbour(lab: &Lab, host: &str, address: IpAddr) -> Result<Option<(String, String)>> {
    let command = ["ip", "-j", "neigh", "show", &address.to_string(), "dev", LAN_INTERFACE];
    let said = lab.exec(host, &command).await?.text()?;
    let entries: Vec<serde_json::Value> = serde_json::from_str(&said).with_context(|| format!("ip said {said:?}"))?;
    Ok(entries.first().and_then(|entry| {
        let mac = entry.get("lladdr")?.as_str()?.to_owned();
        let state = entry.get("state")?.as_array()?.first()?.as_str()?.to_owned();
        Some((mac, state))
    }))
}

/// The address an IP packet on the LAN is for; none for other frames, and for frames with tags.
pub fn destination(frame: &Frame) -> Option<IpAddr> {
    match frame.kind()? {
        0x0800 => address::<4>(frame, 30),
        0x86dd => address::<16>(frame, 38),
        _ => None,
    }
}

/// Whether a frame is of neighbour discovery (RFC 4861): what hosts tell each other about the link, not traffic.
pub fn is_neighbour_discovery(frame: &Frame) -> bool {
    let byte = |offset: usize| frame.bytes.get(offset).copied();
    frame.kind() == Some(0x86dd) && byte(20) == Some(58) && matches!(byte(54), Some(133..=136))
}

/// The address that a kernel which means to send there asks for, by ARP or by neighbour solicitation. None for other
/// frames, for announcements (the sender claims the address itself) and for probes (the sender has no address).
pub fn asked_for(frame: &Frame) -> Option<IpAddr> {
    let byte = |offset: usize| frame.bytes.get(offset).copied();
    let (sender, target) = match frame.kind()? {
        0x0806 if byte(21) == Some(1) => (address::<4>(frame, 28)?, address::<4>(frame, 38)?),
        0x86dd if byte(20) == Some(58) && byte(54) == Some(135) => {
            (address::<16>(frame, 22)?, address::<16>(frame, 62)?)
        }
        _ => return None,
    };
    (sender != target && !sender.is_unspecified()).then_some(target)
}

/// The address that an ICMP redirect (RFC 792, RFC 4861) is about; none for other frames.
pub fn redirected(frame: &Frame) -> Option<IpAddr> {
    let byte = |offset: usize| frame.bytes.get(offset).copied();
    match frame.kind()? {
        // What follows the ICMP header is the packet that gave rise to it; its destination is meant.
        0x0800 if byte(23) == Some(1) && byte(34) == Some(5) => address::<4>(frame, 58),
        0x86dd if byte(20) == Some(58) && byte(54) == Some(137) => address::<16>(frame, 78),
        _ => None,
    }
}

/// That an address is at a MAC address, said by a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// The address.
    pub address: IpAddr,
    /// Where it is, by what the frame says.
    pub mac: MacAddr,
    /// It is said to everybody: gratuitous ARP, or an advertisement to all nodes.
    pub to_all: bool,
}

/// What a frame says about who has an address: an ARP reply, an ARP request about its sender, a neighbour advertisement, a
/// solicitation about its source. None of other frames, and of probes, whose sender has no address.
pub fn asserted(frame: &Frame) -> Option<Asserted> {
    match frame.kind()? {
        0x0806 => {
            let (sender, target) = (address::<4>(frame, 28)?, address::<4>(frame, 38)?);
            (!sender.is_unspecified()).then_some(Asserted {
                address: sender,
                mac: mac(frame, 22)?,
                to_all: sender == target,
            })
        }
        0x86dd if frame.bytes.get(20) == Some(&58) => {
            let kind = *frame.bytes.get(54)?;
            // Its one option: the target's or the source's link-layer address, 8 bytes long.
            let at = (kind == 136 && frame.bytes.get(78..80)? == [2, 1])
                || (kind == 135 && frame.bytes.get(78..80)? == [1, 1]);
            let subject = address::<16>(frame, if kind == 136 { 62 } else { 22 })?;
            let everybody = IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1]);
            let to_all = kind == 136 && address::<16>(frame, 38)? == everybody;
            if at { Some(Asserted { address: subject, mac: mac(frame, 80)?, to_all }) } else { None }
        }
        _ => None,
    }
}

/// The Ethernet address of [`super::observer::Newcomer`].
const NEWCOMER: [u8; 6] = [2, 0, 0x5e, 0x10, 0xfe, 1];

/// The questions of a newcomer with their answers.
pub(super) struct Questions(pub(super) Vec<Attempt>);

/// The questions about an address that the newcomer asked since a moment, and what came back to it: an answer belongs to the
/// last question before it, and to none when that is older than `patience`.
pub(super) fn questions(frames: &[Frame], about: IpAddr, since: SystemTime, patience: Duration) -> Questions {
    let mut asked: Vec<Attempt> = Vec::new();
    for frame in frames.iter().filter(|frame| frame.at >= since) {
        if frame.source() == Some(NEWCOMER) {
            if asked_for(frame) == Some(about) {
                asked.push(Attempt { at: frame.at, answer: Err("nobody answered".to_owned()) });
            }
        } else if frame.bytes.get(..6) == Some(&NEWCOMER) && asserted(frame).is_some_and(|said| said.address == about) {
            let last = asked.last_mut();
            let in_time =
                |attempt: &&mut Attempt| frame.at.duration_since(attempt.at).is_ok_and(|took| took <= patience);
            if let Some(attempt) = last.filter(in_time) {
                attempt.answer = Ok(attempt.answer.clone().unwrap_or(frame.at));
            }
        }
    }
    Questions(asked)
}

fn mac(frame: &Frame, offset: usize) -> Option<MacAddr> {
    let bytes = frame.bytes.get(offset..offset + 6)?;
    bytes.try_into().ok().map(MacAddr)
}

fn address<const LENGTH: usize>(frame: &Frame, offset: usize) -> Option<IpAddr>
where
    IpAddr: From<[u8; LENGTH]>,
{
    let bytes = frame.bytes.get(offset..offset + LENGTH)?;
    <[u8; LENGTH]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn frame(bytes: &[(usize, &[u8])]) -> Frame {
        let mut all = vec![0; 100];
        for (offset, some) in bytes {
            all[*offset..*offset + some.len()].copy_from_slice(some);
        }
        Frame { at: SystemTime::UNIX_EPOCH, bytes: all }
    }

    #[test]
    fn the_destination_is_read_from_both_families() {
        let v4 = frame(&[(12, &[8, 0]), (30, &[192, 0, 2, 7])]);
        assert_eq!(destination(&v4), Some("192.0.2.7".parse().unwrap()));
        let v6 = frame(&[(12, &[0x86, 0xdd]), (38, &[0x20, 0x01, 0x0d, 0xb8]), (53, &[7])]);
        assert_eq!(destination(&v6), Some("2001:db8::7".parse().unwrap()));
        assert_eq!(destination(&frame(&[(12, &[8, 6])])), None);
    }

    #[test]
    fn neighbour_discovery_is_no_traffic() {
        assert!(is_neighbour_discovery(&frame(&[(12, &[0x86, 0xdd]), (20, &[58]), (54, &[136])])));
        assert!(!is_neighbour_discovery(&frame(&[(12, &[0x86, 0xdd]), (20, &[58]), (54, &[128])])));
    }

    #[test]
    fn only_who_means_to_send_asks() {
        let asks = |sender: &[u8]| frame(&[(12, &[8, 6]), (20, &[0, 1]), (28, sender), (38, &[192, 0, 2, 7])]);
        assert_eq!(asked_for(&asks(&[192, 0, 2, 1])), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(asked_for(&asks(&[192, 0, 2, 7])), None, "an announcement");
        assert_eq!(asked_for(&asks(&[0, 0, 0, 0])), None, "a probe");
        let solicits = frame(&[(12, &[0x86, 0xdd]), (20, &[58]), (22, &[0xfe, 0x80]), (54, &[135]), (62, &[0x20, 1])]);
        assert_eq!(asked_for(&solicits), Some("2001::".parse().unwrap()));
    }

    #[test]
    fn replies_announcements_and_directed_requests_assert_and_probes_do_not() {
        let arp = |operation: u8, sender: [u8; 4], target: [u8; 4]| {
            asserted(&frame(&[
                (12, &[8, 6]),
                (20, &[0, operation]),
                (22, &[2, 0, 0, 0, 0, 9]),
                (28, &sender),
                (38, &target),
            ]))
        };
        let (vip, other) = ([192, 0, 2, 7], [192, 0, 2, 1]);
        let said = |to_all| Some(Asserted { address: vip.into(), mac: MacAddr([2, 0, 0, 0, 0, 9]), to_all });
        assert_eq!(arp(2, vip, other), said(false), "a reply");
        assert_eq!(arp(1, vip, other), said(false), "a directed request");
        assert_eq!((arp(1, vip, vip), arp(2, vip, vip)), (said(true), said(true)), "gratuitous");
        assert_eq!(arp(1, [0; 4], vip), None, "a probe");
    }

    #[test]
    fn advertisements_and_solicitations_assert_with_their_option_only() {
        let nd = |kind: u8, option: u8| {
            asserted(&frame(&[
                (12, &[0x86, 0xdd]),
                (20, &[58]),
                (22, &[0x20, 1]),
                (38, &[0xff, 2]),
                (53, &[1]),
                (54, &[kind]),
                (62, &[0x20, 2]),
                (78, &[option, 1, 2, 0, 0, 0, 0, 9]),
            ]))
        };
        let said = |address: &str, to_all| {
            Some(Asserted { address: address.parse().unwrap(), mac: MacAddr([2, 0, 0, 0, 0, 9]), to_all })
        };
        assert_eq!(nd(136, 2), said("2002::", true));
        assert_eq!(nd(135, 1), said("2001::", false));
        assert_eq!((nd(136, 1), nd(135, 14), nd(133, 1)), (None, None, None));
    }

    #[test]
    fn an_answer_counts_for_the_newcomers_last_question() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let vip = [192, 0, 2, 7];
        let question = |when| Frame {
            at: at(when),
            ..frame(&[(6, &NEWCOMER), (12, &[8, 6]), (20, &[0, 1]), (28, &[192, 0, 2, 3]), (38, &vip)])
        };
        let answer = |when| Frame {
            at: at(when),
            ..frame(&[(0, &NEWCOMER), (12, &[8, 6]), (20, &[0, 2]), (22, &[2, 0, 0, 0, 0, 9]), (28, &vip)])
        };
        let frames = [question(0), answer(1), question(20), question(40), answer(43), question(60), answer(900)];
        let Questions(asked) = questions(&frames, vip.into(), at(0), Duration::from_millis(300));
        let answers: Vec<Option<SystemTime>> = asked.into_iter().map(|one| one.answer.ok()).collect();
        assert_eq!(answers, [Some(at(1)), None, Some(at(43)), None]);
    }

    #[test]
    fn a_redirect_tells_what_it_is_about() {
        let v4 = frame(&[(12, &[8, 0]), (23, &[1]), (34, &[5]), (58, &[192, 0, 2, 7])]);
        assert_eq!(redirected(&v4), Some("192.0.2.7".parse().unwrap()));
        let v6 = frame(&[(12, &[0x86, 0xdd]), (20, &[58]), (54, &[137]), (78, &[0x20, 0x01]), (93, &[7])]);
        assert_eq!(redirected(&v6), Some("2001::7".parse().unwrap()));
        assert_eq!(redirected(&frame(&[(12, &[8, 0]), (23, &[1]), (34, &[8])])), None);
    }
}
