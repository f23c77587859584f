"""Asks a LAN who has an address, over and over until it is ended, as a host that nobody has heard of: Ethernet address
02:00:5e:10:fe:01, IP addresses 192.0.2.3 and fe80::fe01. Answers are for others to count.

Arguments: interface, address, seconds between two questions.
"""

import signal
import socket
import struct
import sys
import time

MAC = bytes.fromhex("02005e10fe01")
interface, address, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])


def arp(target):
    sender = socket.inet_aton("192.0.2.3")
    head = b"\xff" * 6 + MAC + struct.pack("!H", 0x0806)
    return head + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + MAC + sender + bytes(6) + socket.inet_aton(target)


def solicitation(target):
    target = socket.inet_pton(socket.AF_INET6, target)
    source = socket.inet_pton(socket.AF_INET6, "fe80::fe01")
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    message = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\x01\x01" + MAC
    pseudo = source + group + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
    network = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + group
    return b"\x33\x33\xff" + target[13:] + MAC + struct.pack("!H", 0x86DD) + network + message


question = solicitation(address) if ":" in address else arp(address)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((interface, 0))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
due = time.monotonic()
while True:
    wire.send(question)
    due = max(due + pause, time.monotonic())
    time.sleep(max(0.0, due - time.monotonic()))
