"""Sends frames that scapy built and prints, as JSON lines, those that scapy took apart.

Argument: the interface. Standard input: one JSON command a line:
  {"send": EXPRESSION}                          a scapy packet, or bytes
  {"timed": true, "send": EXPRESSION}           also prints {"sent": TIME} of the first frame
  {"times": N, "send": EXPRESSION}              the same frame N times, as fast as possible
  {"flood": EXPRESSION, "rate": PPS, "for": S}  the same frame at a rate; prints {"flooded": N, "took": S} at the end
  {"silent": true}                              stops printing frames: for floods
  {"beats": true}                               prints datagrams to port 7948 too
Standard output: {"ready": true}, then every ARP and ICMPv6 frame that was received, with the kernel's time.
"""

import errno
import json
import logging
import select
import socket
import struct
import sys
import threading
import time

logging.getLogger("scapy").setLevel(logging.CRITICAL)
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: E402,F401
from scapy.layers.inet import IP, UDP, TCP, ICMP  # noqa: E402,F401
from scapy.layers.inet6 import *  # noqa: E402,F401,F403
from scapy.layers.inet6 import IPv6, ICMPv6ND_NA, ICMPv6ND_NS, in6_chksum  # noqa: E402
from scapy.layers.inet6 import ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, ICMPv6MLReport2  # noqa: E402
from scapy.packet import Raw  # noqa: E402,F401

SO_TIMESTAMPNS = 35
OUTGOING = 4

output = threading.Lock()
silent = False
beats = False
BEATS_PORT = 7948
UDP_PROTOCOL = 17


def say(value):
    with output:
        print(json.dumps(value), flush=True)


def checksum_is_right(data):
    """The ICMPv6 checksum, computed over a copy whose checksum field is zero."""
    length = struct.unpack("!H", data[18:20])[0]
    payload = bytearray(data[54 : 54 + length])
    told = struct.unpack("!H", payload[2:4])[0]
    payload[2:4] = b"\0\0"
    return told == in6_chksum(58, IPv6(data[14:54]), bytes(payload))


def frame(data, at, kind):
    packet = Ether(data)
    shown = {"at": at, "length": len(data), "dst": packet.dst, "src": packet.src, "type": packet.type, "packet": kind}
    if UDP in packet:
        ip = packet[1]
        hops = ip.ttl if IP in packet else ip.hlim
        shown["beat"] = {"from": ip.src, "to": ip.dst, "hops": hops, "bytes": bytes(packet[UDP].payload).hex()}
    elif ARP in packet:
        arp = packet[ARP]
        shown["arp"] = {
            "op": arp.op, "sha": arp.hwsrc, "spa": arp.psrc, "tha": arp.hwdst, "tpa": arp.pdst,
            "header": [arp.hwtype, arp.ptype, arp.hwlen, arp.plen],
        }
    elif IPv6 in packet:
        ip = packet[IPv6]
        shown["ip"] = {"src": ip.src, "dst": ip.dst, "hop_limit": ip.hlim}
        for kind, name in ((ICMPv6ND_NS, "ns"), (ICMPv6ND_NA, "na")):
            if kind not in packet:
                continue
            message = packet[kind]
            shown[name] = {"target": message.tgt, "checksum": checksum_is_right(data), "code": message.code}
            for option, key in ((ICMPv6NDOptSrcLLAddr, "slla"), (ICMPv6NDOptDstLLAddr, "tlla")):
                shown[name][key] = packet[option].lladdr if option in packet else None
            if kind is ICMPv6ND_NA:
                shown[name].update(router=message.R, solicited=message.S, override=message.O)
        if ICMPv6MLReport2 in packet:
            shown["mld"] = [[record.rtype, record.dst] for record in packet[ICMPv6MLReport2].records]
    return shown


def is_datagram(kind, data):
    return (kind == 0x0800 and data[23:24] == bytes([UDP_PROTOCOL])) or (kind == 0x86DD and data[20] == UDP_PROTOCOL)


def is_wanted(data):
    if len(data) < 14:
        return False
    kind = struct.unpack("!H", data[12:14])[0]
    if is_datagram(kind, data):
        return beats and Ether(data)[UDP].dport == BEATS_PORT
    return kind in (0x0806, 0x8100) or (kind == 0x86DD and len(data) > 54)


def receive(sock):
    while True:
        try:
            data, ancillary, _flags, address = sock.recvmsg(2048, 256)
        except OSError as error:
            if error.errno == errno.ENETDOWN:  # reported once when the interface goes down; it may come back
                continue
            raise
        if address[2] == OUTGOING or silent or not is_wanted(data):
            continue
        at = time.time()
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                at = seconds + nanoseconds / 1e9
        say(frame(data, at, address[2]))


def flood(sock, data, rate, duration):
    began = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - began) < duration:
        behind = int(passed * rate) - sent
        if behind <= 0:
            select.select([], [], [], 0.0005)
        for _ in range(behind):
            try:
                sock.send(data)
            except OSError:
                pass
            sent += 1
    say({"flooded": sent, "took": time.monotonic() - began})


def main():
    global silent, beats
    interface = sys.argv[1]
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((interface, 3))
    threading.Thread(target=receive, args=(sock,), daemon=True).start()
    say({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        if "silent" in command:
            silent = command["silent"]
        if "beats" in command:
            beats = command["beats"]
        if "send" in command:
            data = bytes(eval(command["send"]))
            at = time.time()
            for _ in range(command.get("times", 1)):
                sock.send(data)
            if command.get("timed"):
                say({"sent": at})
        if "flood" in command:
            data = bytes(eval(command["flood"]))
            arguments = (sock, data, command["rate"], command["for"])
            threading.Thread(target=flood, args=arguments, daemon=True).start()


main()
