#!/usr/bin/env python3
"""Connect hosts that are network namespaces of this machine by links of a known bandwidth and latency.

    link.py [--hosts 2] [--rate 100] [--latency 5] probe            compare a socket's bandwidth and latency with these
    link.py [--hosts 2] [--rate 100] [--latency 5] run COMMAND ...  run a command on each host, with RANK, WORLD_SIZE and
                                                                    MASTER_ADDR in its environment

Needs root and /dev/net/tun. Each host has a TUN device with the address 10.77.0.N. This program reads the packets that
a host sends and gives them to the host that they are for, after the time that they would need: a packet leaves a host
when the one before it has left and its own bits have been sent at the rate, and arrives a latency later. So the links
behave like those to a switch that never drops a packet. Linux's own netem does the same where the kernel has it.
"""
import argparse
import heapq
import json
import os
import pathlib
import fcntl
import select
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# A large packet costs this program as little time as a small one, but it must leave in much less time than the latency.
MTU = 9000
# Seconds of packets that wait for a link here. The rest waits in the device.
QUEUE = 0.05


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True)


class Network:
    """Hosts 0 ... hosts - 1. `rate` is in bits per second, None for no limit; `latency` in seconds, for one way."""

    def __init__(self, hosts, rate=None, latency=0.0):
        self.hosts, self.rates, self.latencies = hosts, [rate] * hosts, [latency] * hosts
        self.cut = [False] * hosts
        self._name = f"g{os.getpid() % 10000}n"
        self._devices, self._running = [], True
        self._thread = threading.Thread(target=self._forward)

    def __enter__(self):
        try:
            for host in range(self.hosts):
                name = self._name + str(host)
                device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                self._devices.append(device)
                fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
                ip("netns", "add", name)
                ip("link", "set", name, "netns", name)
                ip("-n", name, "link", "set", name, "mtu", MTU, "txqueuelen", 10000, "up")
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", name)
                # No packet is lost here, so TCP must not hold back data: neither because packets wait for the link (reno
                # waits for losses, cubic also measures delays), nor after a pause, as between steps.
                self.popen(host, ["sh", "-c", "cd /proc/sys/net/ipv4 && echo reno > tcp_congestion_control && "
                                              "echo 0 > tcp_slow_start_after_idle"]).wait()
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._running = False
        self._thread.join()
        self._remove()

    def _remove(self):
        for device in self._devices:
            os.close(device)
        for host in range(len(self._devices)):
            subprocess.run(["ip", "netns", "del", self._name + str(host)], check=False, stderr=subprocess.DEVNULL)

    @staticmethod
    def address(host):
        return f"10.77.0.{host + 1}"

    def popen(self, host, command, **options):
        """Start a command on a host."""
        return subprocess.Popen(["ip", "netns", "exec", self._name + str(host), *map(str, command)], **options)

    def start(self, command, environment=None, **options):
        """Start a command on every host, as one of `hosts` processes of a training."""
        return [self.popen(host, command, **options,
                           env={**(environment or os.environ), "RANK": str(host), "WORLD_SIZE": str(self.hosts),
                                "MASTER_ADDR": self.address(0)}) for host in range(self.hosts)]

    def set(self, host, rate=None, latency=0.0):
        """Change the link of a host, for the packets that it sends from now on."""
        self.rates[host], self.latencies[host] = rate, latency

    def _forward(self):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # this thread: packets leave in time on a busy machine
        free = [0.0] * self.hosts  # when the last packet of each host has left
        waiting, count = [], 0  # (when it arrives, order, receiver, packet)
        while self._running:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, receiver, packet = heapq.heappop(waiting)
                try:
                    os.write(self._devices[receiver], packet)
                except OSError:  # the host is gone
                    pass
            pause = min(0.05, waiting[0][0] - now) if waiting else 0.05
            open_ = [device for host, device in enumerate(self._devices) if free[host] - now < QUEUE]
            for device in select.select(open_, [], [], max(0.0, pause))[0]:
                host = self._devices.index(device)
                try:
                    packet = os.read(device, 65536)
                except OSError:
                    continue
                # IPv4; the last byte of the receiver's address is its number
                receiver = packet[19] - 1 if len(packet) >= 20 and packet[0] >> 4 == 4 else -1
                if not 0 <= receiver < self.hosts or packet[16:19] != b"\x0a\x4d\x00" or self.cut[host] or self.cut[receiver]:
                    continue
                now = time.monotonic()
                free[host] = max(now, free[host]) + (len(packet) * 8 / self.rates[host] if self.rates[host] else 0)
                count += 1
                heapq.heappush(waiting, (free[host] + self.latencies[host], count, receiver, packet))


def serve():
    """Answer one connection: the bytes "p" by the same byte, and after "b" and a number, that many bytes by one."""
    with socket.create_server(("", 5000)) as server:
        connection = server.accept()[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (kind := connection.recv(1)):
            if kind == b"b":
                left = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
                while left > 0:
                    left -= len(connection.recv(min(left, 1 << 20)))
            connection.sendall(b"a")


def measure(address, size):
    """Measure the one-way latency in seconds and the bandwidth in bits per second of a connection to serve()."""
    for _ in range(100):
        try:
            connection = socket.create_connection((address, 5000))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def seconds_of(message):
        start = time.monotonic()
        connection.sendall(message)
        connection.recv(1)
        return time.monotonic() - start

    trips = [seconds_of(b"p") for _ in range(60)]
    latency = statistics.median(trips) / 2
    message = b"b" + size.to_bytes(8, "big") + bytes(size)
    seconds_of(message)  # the connection reaches its full rate
    return {"latency": latency, "rate": 8 * size / (seconds_of(message) - 2 * latency)}


def probe(network, seconds=1.0):
    """Measure the link from host 0 to host 1 by a plain socket."""
    server = network.popen(1, [sys.executable, __file__, "serve"])
    size = int((network.rates[0] or 1e9) * seconds / 8)
    client = network.popen(0, [sys.executable, __file__, "measure", network.address(1), size], stdout=subprocess.PIPE, text=True)
    found = json.loads(client.communicate()[0])
    server.wait()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--rate", type=float, help="Mbit/s, without a limit by default")
    parser.add_argument("--latency", type=float, default=0, help="ms, one way")
    parser.add_argument("what", choices=["probe", "run", "serve", "measure"])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.what == "serve":
        return serve()
    if given.what == "measure":
        return print(json.dumps(measure(given.command[0], int(given.command[1]))))
    with Network(given.hosts, given.rate and given.rate * 1e6, given.latency / 1e3) as network:
        if given.what == "probe":
            found = probe(network)
            return print(f"latency {found['latency'] * 1e3:.3f} ms, bandwidth {found['rate'] / 1e6:.1f} Mbit/s")
        codes = [process.wait() for process in network.start(given.command)]
    return sys.exit(max(codes, key=abs))


if __name__ == "__main__":
    main()
