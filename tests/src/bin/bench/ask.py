"""Sends questions about an address into the LAN, evenly spaced, without waiting for answers.

usage: ask.py INTERFACE ADDRESS COUNT SECONDS-BETWEEN

Made-up neighbours of this interface's MAC address ask in turn, so that whoever reads along knows which answer is to which question.
"""

import ipaddress
import sys
import time

from scapy.all import ARP, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, Ether, conf, get_if_hwaddr
from scapy.utils6 import in6_getnsma, in6_getnsmac
from scapy.pton_ntop import inet_ntop, inet_pton
import socket

# Addresses of the lab's LAN that nobody has.
ASKERS = {4: "192.0.2.60", 6: "2001:db8:1::a:60"}
TURNS = 40

interface, address, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
mac = get_if_hwaddr(interface)


def question(asker):
    if asker.version == 4:
        arp = ARP(op=1, hwsrc=mac, psrc=str(asker), pdst=address)
        return bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / arp)
    group = in6_getnsma(inet_pton(socket.AF_INET6, address))
    return bytes(
        Ether(src=mac, dst=in6_getnsmac(group))
        / IPv6(src=str(asker), dst=inet_ntop(socket.AF_INET6, group), hlim=255)
        / ICMPv6ND_NS(tgt=address)
        / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    )


first = ipaddress.ip_address(ASKERS[ipaddress.ip_address(address).version])
frames = [question(first + turn) for turn in range(TURNS)]
out = conf.L2socket(iface=interface)
due = time.monotonic()
for number in range(count):
    out.outs.send(frames[number % TURNS])
    due += pause
    time.sleep(max(0, due - time.monotonic()))
