"""Asks the LAN who has an address; prints a JSON list of the MAC addresses that answered.

Arguments: interface, address, seconds to wait for answers.
"""

import json
import logging
import socket
import sys

logging.getLogger("scapy").setLevel(logging.CRITICAL)
from scapy.arch import get_if_addr, get_if_addr6, get_if_hwaddr  # noqa: E402
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6  # noqa: E402
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.sendrecv import sendp, sniff  # noqa: E402

interface, address, wait = sys.argv[1], sys.argv[2], float(sys.argv[3])
mine = get_if_hwaddr(interface)

if ":" in address:
    tail = socket.inet_pton(socket.AF_INET6, address)[13:]
    group = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + tail)
    group_mac = "33:33:ff:" + ":".join(f"{byte:02x}" for byte in tail)
    question = (
        Ether(src=mine, dst=group_mac)
        / IPv6(src=get_if_addr6(interface), dst=group, hlim=255)
        / ICMPv6ND_NS(tgt=address)
        / ICMPv6NDOptSrcLLAddr(lladdr=mine)
    )

    def answer(frame):
        if ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == address and ICMPv6NDOptDstLLAddr in frame:
            return frame[ICMPv6NDOptDstLLAddr].lladdr

else:
    question = Ether(src=mine, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=mine, psrc=get_if_addr(interface), pdst=address
    )

    def answer(frame):
        if ARP in frame and frame[ARP].op == 2 and frame[ARP].psrc == address:
            return frame[ARP].hwsrc


frames = sniff(
    iface=interface,
    timeout=wait,
    lfilter=lambda frame: answer(frame) is not None,
    started_callback=lambda: sendp(question, iface=interface, verbose=0),
)
print(json.dumps(sorted({answer(frame) for frame in frames})))
