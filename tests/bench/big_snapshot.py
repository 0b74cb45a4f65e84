#!/usr/bin/env python3
"""Snapshots of a large store under full load: whether writes pause, and what memory they take beyond the values.

One api-server with so many GiB of values, 32 clients that write all the time. First `coxctl store snapshot save`, then a
new member that has to copy the state. All values of now are in the memory of every member (docs/store.md), so what is
measured is what comes on top of that.

usage: big_snapshot.py BUILD_DIR [GIB] [--no-copy] [--quick]     2 GiB unless told; needs twice that of disk per member,
                                                                 and as much memory as values, per member
"""
import contextlib
import pathlib
import subprocess
import sys
import threading
import time

from processes import Server, check, store_status, wait_until
from test_daemons import free_port
from test_servers import Member
from test_store_admin import coxctl

VALUE_BYTES = 1_000_000  # an object may have 1 MiB
MIB = 1 << 20
PERIOD_S = 10
# The log of so few entries is kept that a new member needs the state.
FLAGS = ["--store-keep-entries", "100"]
QUICK_FLAGS = ["--store-log-segment-bytes", str(1 << 20), "--store-checkpoint-log-bytes", str(4 << 20)]


class Rss(threading.Thread):
    """The most memory that a process has had while this was watching, in MiB."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = process.pid, 0, threading.Event()

    def now(self):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        return 0

    def run(self):
        while not self.ended.wait(0.02):
            self.most = max(self.most, self.now())

    def __enter__(self):
        self.most = self.now()
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class Load:
    """Clients that write until they are told to stop; period() tells how it went since the last one."""

    def __init__(self, build, kubeconfig):
        self.process = subprocess.Popen([build / "bin/write_load", "--kubeconfig", kubeconfig],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        self.period()

    def period(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        check(line, "the clients write")
        rate, gap, slowest = line.split()
        return f"{rate}/s, longest gap {gap} ms, slowest write {slowest} ms", float(rate)

    def stop(self):
        self.process.stdin.close()
        check(self.process.wait(30) == 0, "no write failed")


def row(what, *cells):
    print(f"| {what} | " + " | ".join(cells) + " |", flush=True)


def start_alone(api_server, home):
    """A group of one, so that another one can join."""
    server = Member(api_server, home)
    home.mkdir()
    server.flags = [*FLAGS, "--member-id", "1", "--initial-cluster", f"1=127.0.0.1:{free_port()}"]
    server.port = free_port()
    server.spawn().wait_started()
    return server


def join(first, home, seconds):
    """A new member; it is ready as soon as it has the state. How long that took."""
    address = f"127.0.0.1:{free_port()}"
    coxctl(first, "store", "member", "add", "two", "--peer-address", address)
    listed = first.call("GET", "/store/v1/members").json()
    second = Member(first.binary, home)
    (second.data / "pki").mkdir(parents=True, mode=0o700)
    for name in ("ca.crt", "ca.key"):
        (second.data / "pki" / name).write_bytes((first.data / "pki" / name).read_bytes())
    mine = next(m for m in listed["members"] if m["peerAddress"] == address)
    known = ",".join(f"{m['id']}={m['peerAddress']}" for m in listed["members"])
    second.flags = [*FLAGS, "--member-id", mine["id"], "--initial-cluster", known, "--initial-cluster-state", "existing",
                    "--cluster-id", listed["clusterId"]]
    second.port = free_port()
    return second.spawn()


def save(first, load, values_mib):
    """`snapshot save`, verified."""
    file = first.home / "big.snap"
    with Rss(first.process) as rss:
        before = rss.now()
        began = time.monotonic()
        coxctl(first, "store", "snapshot", "save", file, timeout=3600)
        took = time.monotonic() - began
    during, rate = load.period()
    check(rate > 0, "writes go on")
    time.sleep(PERIOD_S)
    after = rss.now()
    coxctl(first, "store", "snapshot", "verify", file, timeout=3600)
    check(file.stat().st_size > values_mib * MIB, f"the file has all values: {file.stat().st_size} bytes")
    file.unlink()
    load.period()
    row("snapshot save", f"{took:.1f} s", during, f"api-server {before:.0f} → at most {rss.most:.0f} → {after:.0f} MiB")


def copy(first, load, home, values_mib):
    began = time.monotonic()
    with Rss(first.process) as sends:
        before = sends.now()
        second = join(first, home, 3600)
        try:
            with Rss(second.process) as takes:
                wait_until("the new member has the state", 3600, lambda: (second.home / "port").exists() and second.ready())
                took = time.monotonic() - began
                during, rate = load.period()
                check(rate > 0, "writes go on")
                check("took over the state of another member" in second.log.read_text(), "it copied the state")
                time.sleep(PERIOD_S)
                row("copy to a new member", f"{took:.1f} s", during,
                    f"sender {before:.0f} → at most {sends.most:.0f} MiB, receiver at most {takes.most:.0f}, then "
                    f"{takes.now():.0f} MiB")
            check(takes.now() > values_mib, "it has all values")
            check(store_status(second)["revision"] != "0", "it serves")
        finally:
            second.remove()


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if not arguments:
        raise SystemExit(__doc__)
    global PERIOD_S
    build, quick = pathlib.Path(arguments[0]), "--quick" in sys.argv
    gib = float(arguments[1]) if len(arguments) > 1 else 0.0625 if quick else 2.0
    if quick:
        PERIOD_S = 1
        FLAGS.extend(QUICK_FLAGS)
    home = Server(str(build / "bin/api-server"))
    first, objects = None, int(gib * 1024 * MIB / VALUE_BYTES) + 1
    try:
        first = start_alone(home.binary, home.home / "one")
        kubeconfig = first.data / "kubeconfig/admin.conf"
        began = time.monotonic()
        subprocess.run([build / "bin/write_load", "--kubeconfig", kubeconfig, "--clients", "8", "--bytes", str(VALUE_BYTES),
                        "--fill", str(objects)], check=True)
        print(f"{gib:g} GiB in {objects} values written in {time.monotonic() - began:.0f} s")
        load = Load(build, kubeconfig)
        row("what", "time", "32 clients' writes meanwhile", "resident memory")
        row("---", "---", "---", "---")
        time.sleep(PERIOD_S)
        row(f"nothing, {gib:g} GiB stored", "-", load.period()[0], f"api-server {Rss(first.process).now():.0f} MiB")
        save(first, load, gib * 1024)
        if "--no-copy" not in sys.argv:
            copy(first, load, home.home / "two", gib * 1024)
        load.stop()
    finally:
        if first is not None:
            first.remove()
        home.remove()


if __name__ == "__main__":
    main()
