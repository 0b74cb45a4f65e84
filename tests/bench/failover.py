#!/usr/bin/env python3
"""How long nobody can write when the leader of three api-servers is killed, or told to stop.

A writer at every server writes all the time, one write after the other, each to an object of its own, and waits for as long
as its server takes: no client's time-out is part of the result.

usage: failover.py BUILD_DIR [ROUNDS] [--quick] [--verbose]        rounds of each kind, 40 unless told
"""
import http.client
import json
import pathlib
import random
import signal
import ssl
import sys
import threading
import time

from processes import check, leader_of, percentile, row, three_servers, wait_until

PAUSE_S = 0.002       # of a writer, so that the writers leave the processors to the servers
PATIENCE_S = 30       # nobody can write for so long: something else is wrong
KILLED_GOAL_S, STOPPED_GOAL_S = 1.5, 0.050
JSON = {"Content-Type": "application/json"}
LOST = (OSError, ssl.SSLError, http.client.HTTPException)


class Writer(threading.Thread):
    """Writes at one server, whatever happens to it; `done` is when each acknowledged write began and ended."""

    def __init__(self, member):
        super().__init__(daemon=True)
        self.member, self.done, self.count = member, [], 0
        self.stopping = threading.Event()
        self.path = f"/api/v1/namespaces/default/configmaps/of-{member.port}"

    def run(self):
        context, connection = self.member.tls(), None
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                if connection is None:
                    connection = self.member.connect(context, PATIENCE_S)
                self.write(connection, began)
            except LOST:
                if connection is not None:
                    connection.close()
                connection = None
            time.sleep(PAUSE_S)

    def write(self, connection, began):
        self.count += 1
        body = {"metadata": {"name": self.path.rpartition("/")[2]}, "data": {"n": str(self.count)}}
        connection.request("PUT", self.path, json.dumps(body), JSON)
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            self.done.append((began, time.monotonic()))

    def next_after(self, moment):
        """When the first write that began after that was acknowledged; None: not yet."""
        return next((ended for began, ended in reversed_until(self.done, moment)), None)

    def longest_gap(self, since):
        """Between acknowledged writes of this writer, from the last one before that moment on."""
        ends = [ended for _, ended in list(self.done)]
        first = max(i for i, ended in enumerate(ends) if ended <= since)
        return max(b - a for a, b in zip(ends[first:], ends[first + 1:]))


def reversed_until(done, moment):
    """Those that began after that, the earliest first."""
    out = []
    for write in reversed(list(done)):
        if write[0] <= moment:
            break
        out.append(write)
    return reversed(out)


class Failover:
    def __init__(self, members):
        self.members = members
        for member in members:
            made = member.put_map(f"of-{member.port}", {})
            check(made.status == 201, f"an object to write: {made.status} {made.body}")
        self.writers = [Writer(member) for member in members]
        for writer in self.writers:
            writer.start()

    def stop(self):
        for writer in self.writers:
            writer.stopping.set()
        for writer in self.writers:
            writer.join(PATIENCE_S)

    def all_write(self):
        """Every server takes writes, and has for a while that is a matter of chance: so a kill comes at any time."""
        since = time.monotonic()
        wait_until("every server takes writes", PATIENCE_S,
                   lambda: all(w.next_after(since) is not None for w in self.writers), 0.02)
        time.sleep(random.uniform(0.3, 0.8))

    def others(self, member):
        return [w for w in self.writers if w.member is not member]

    def kill(self):
        """Seconds from kill -9 of the leader until a write that began later is acknowledged by anybody."""
        self.all_write()
        leader, began = leader_of(self.members), time.monotonic()
        leader.stop(signal.SIGKILL)
        def next_one():
            ends = [w.next_after(began) for w in self.others(leader)]
            return min((e for e in ends if e is not None), default=None)
        took = wait_until("a write after the leader was killed", PATIENCE_S, next_one, 0.02) - began
        check(leader_of(self.members) is not leader, "another one leads")
        self.bring_back(leader)
        return took

    def terminate(self):
        """The longest gap between acknowledged writes at a server that goes on when the leader gets SIGTERM."""
        self.all_write()
        leader, began = leader_of(self.members), time.monotonic()
        code = leader.stop(signal.SIGTERM)
        check(code == 0, f"the leader ended with {code} after SIGTERM")
        since = time.monotonic()
        wait_until("writes after the leader has gone", PATIENCE_S,
                   lambda: all(w.next_after(since) for w in self.others(leader)), 0.02)
        gap = max(w.longest_gap(began) for w in self.others(leader))
        check(leader_of(self.members) is not leader, "another one leads")
        self.bring_back(leader)
        return gap

    def bring_back(self, member):
        member.spawn().wait_started()


def summary(seconds):
    return f"p50 {percentile(seconds, 50) * 1000:.0f} ms, p99 {percentile(seconds, 99) * 1000:.0f} ms"


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if not arguments:
        raise SystemExit(__doc__)
    rounds = int(arguments[1]) if len(arguments) > 1 else 2 if "--quick" in sys.argv else 40
    with three_servers(pathlib.Path(arguments[0]) / "bin/api-server", ["--election-timeout-ms", "1000"]) as members:
        failover = Failover(members)
        try:
            # One after the other, so that both see the same machine.
            both = [(failover.kill(), failover.terminate()) for _ in range(rounds)]
        finally:
            failover.stop()
        if "--verbose" in sys.argv:
            for member in members:
                print(member.log.read_text(errors="replace"), file=sys.stderr)
    killed, stopped = zip(*both)
    if "--verbose" in sys.argv:
        print("killed:", " ".join(f"{s * 1000:.0f}" for s in sorted(killed)), file=sys.stderr)
        print("stopped:", " ".join(f"{s * 1000:.0f}" for s in sorted(stopped)), file=sys.stderr)
    row(f"leader killed → next acknowledged write, election time-out 1 s, {rounds} times", summary(killed), "p99 ≤ 1500 ms",
        percentile(killed, 99) <= KILLED_GOAL_S)
    row(f"leader told to stop (SIGTERM) → longest gap between writes at another server, {rounds} times", summary(stopped),
        "p99 ≤ 50 ms", percentile(stopped, 99) <= STOPPED_GOAL_S)


if __name__ == "__main__":
    main()
