"""One schedule after the other on one cluster: load, faults, healing, and the verdict."""
import http.client
import json
import pathlib
import re
import shutil
import statistics
import time
from collections import Counter

import nemesis
from checker import check_history
from checks import Failure, check, wait_until
from clients import Settings, Watcher, Writer
from cluster import Cluster
from history import WRITES, History
from network import Network

WRITERS, WATCHERS = 8, 8
ALL_KINDS = len(nemesis.FAULTS)
KEYS = [f"key-{i}" for i in range(12)]
FRESH_EVERY = 16       # schedules with one cluster; then a new one, with empty disks
RECOVERY_S = 15        # from the end of all faults to three members that serve and take writes
CATCH_UP_S = 10        # of watchers, from the last write
LEAST_RATE = 100       # requests answered per second of load, faults included, over all schedules


class Load:
    """The clients of one schedule."""

    def __init__(self, cluster, seed, plant):
        self.settings = Settings(cluster, f"chaos-{seed}", KEYS, seed)
        self.settings.stale_reads = plant == "stale-reads"
        self.writers = [Writer(self.settings, f"writer-{i}") for i in range(WRITERS)]
        watched = ["", "", "", "", "", "", KEYS[seed % len(KEYS)], KEYS[(seed + 5) % len(KEYS)]]
        self.watchers = [Watcher(self.settings, f"watcher-{i}", watched[i]) for i in range(WATCHERS)]
        self.last = Writer(self.settings, "last-writer")
        self.history = History()

    def begin(self):
        cluster, name = self.settings.cluster, self.settings.namespace
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        wait_until("a namespace", 10, lambda: any(
            cluster.call(slot, "POST", "/api/v1/namespaces", body)[0] in (201, 409) for slot in self.settings.slots))
        for watcher in self.watchers:
            watcher.start()
        wait_until("the watchers", 10, lambda: all(w.streams for w in self.watchers), 0.01)
        for writer in self.writers:
            writer.start()

    def recover(self):
        """Until every server is ready and takes a write: how long, in s."""
        began = time.monotonic()
        self.settings.cluster.wait_ready(RECOVERY_S)
        for slot in self.settings.slots:
            self.write_last(self.settings.keys[0], slot)
        return time.monotonic() - began

    def end(self):
        """The last writes, through every server; then everybody must come to see the same."""
        self.settings.stop_writers.set()
        for writer in self.writers:
            writer.join()
        for n, key in enumerate(self.settings.keys):
            self.history.final_revision = self.write_last(key, self.settings.slots[n % len(self.settings.slots)])
        self.history.finals = self.list_everywhere()
        self.wait_for_watchers()
        for client in [*self.writers, *self.watchers]:
            if client.failure is not None:
                raise Failure(f"{client.name}: {client.failure!r}")
        self.history.ops = [op for client in [*self.writers, *self.watchers, self.last] for op in client.ops]
        self.history.streams = [stream for watcher in self.watchers for stream in watcher.streams]

    def write_last(self, key, slot):
        client = self.last
        client.choose = lambda: slot
        def attempt():
            current = client.get(key)
            if current.outcome == "ok":
                return client.write("update", key, current.revision).revision
            return current.reason == "NotFound" and client.write("create", key).revision
        return wait_until(f"a last write of {key} through member {slot}", RECOVERY_S, attempt, 0.05)

    def list_everywhere(self):
        client = self.last
        client.choose = lambda: self.settings.slots[0]
        revision = wait_until("a last list", RECOVERY_S, lambda: client.list().revision)
        finals = {}
        for slot in self.settings.slots:
            client.choose = lambda slot=slot: slot
            query = f"?resourceVersion={revision}&resourceVersionMatch=Exact"
            op = wait_until(f"the list of member {slot}", RECOVERY_S,
                            lambda: next((op for op in [client.list(query, fresh=False)] if op.outcome == "ok"), None))
            finals[slot] = (op.revision, op.items)
        return finals

    def wait_for_watchers(self):
        """Not reaching it is the checker's to judge."""
        newest = {key: revision for key, (revision, _) in next(iter(self.history.finals.values()))[1].items()}
        goal = {w: newest[w.only] if w.only else max(newest.values()) for w in self.watchers}
        deadline = time.monotonic() + CATCH_UP_S
        while time.monotonic() < deadline and any(w.reached() < goal[w] for w in self.watchers):
            time.sleep(0.02)
        self.settings.stop_watchers.set()
        for watcher in self.watchers:
            watcher.join()

    def abandon(self):
        self.settings.stop_writers.set()
        self.settings.stop_watchers.set()


class Numbers:
    """What is measured over all schedules; what a fault costs, where it was the only one."""

    def __init__(self):
        self.after = {}  # what -> [ms]
        self.operations, self.answered, self.load_s = 0, 0, 0.0
        self.states, self.elections = 0, 0

    def rate(self):
        return self.answered / max(self.load_s, 0.001)

    def read_logs(self, cluster):
        """What members said of themselves; once, when the cluster is over."""
        logs = [member.log.read_text(errors="replace") for member in cluster.members]
        self.states += sum(log.count("took over the state of another member") for log in logs)
        self.elections += len({term for log in logs for term in re.findall(r"member \d+ leads in term (\d+)", log)})

    def note(self, history, marks, answered, load_s):
        self.operations += len(history.ops)
        self.answered += answered
        self.load_s += load_s
        acknowledged = sorted((op.ended, op.began) for op in history.ops if op.kind in WRITES and op.outcome == "ok")
        for mark in marks:
            ended = next((ended for ended, began in acknowledged if began > mark.at), None)
            if ended is not None:
                self.after.setdefault(f"{mark.name}, the next acknowledged write", []).append((ended - mark.at) / 1e6)

    def print(self):
        print(f"{self.operations} operations; {self.answered} answered in {self.load_s:.0f} s of load: {self.rate():.0f}/s")
        print(f"{self.elections} elections; members were given the whole state {self.states} times")
        for name, gaps in sorted(self.after.items()):
            gaps.sort()
            print(f"{name}: n={len(gaps)}, p50 {statistics.median(gaps):.0f} ms, "
                  f"p99 {gaps[min(len(gaps) - 1, int(len(gaps) * 0.99))]:.0f} ms, longest {gaps[-1]:.0f} ms")


def longest_gap_ms(history, began, ended):
    """Of acknowledged writes, while there was load."""
    acknowledged = [op.ended for op in history.ops if op.kind in WRITES and op.outcome == "ok" and op.ended < ended]
    at = [began, *sorted(acknowledged), ended]
    return max(b - a for a, b in zip(at, at[1:])) / 1e6


def one_schedule(cluster, seed, strikes, options, numbers):
    """What is told of it; raises Failure with what is wrong."""
    load = Load(cluster, seed, options.plant)
    violations, story = [], ""
    began = time.monotonic_ns()
    try:
        load.begin()
        began = time.monotonic_ns()
        marks = nemesis.inflict(cluster, strikes, options.seconds)
        ended = time.monotonic_ns()
        recovery_s = load.recover()
        load.end()
        answered = [op for op in load.history.ops if op.began < ended and op.outcome in ("ok", "refused", "failed")]
        rate = len(answered) / ((ended - began) / 1e9)
        violations = check_history(load.history)
        numbers.after.setdefault("all healed, a write through every member", []).append(recovery_s * 1000)
        numbers.note(load.history, marks if len(strikes) == 1 else [], len(answered), (ended - began) / 1e9)
        resumed = sum(w.resumed for w in load.watchers)
        outcomes = Counter(op.outcome for op in load.history.ops)
        story = (f"{len(load.history.ops)} ops ({outcomes['failed']} failed, {outcomes['unknown']} unknown), {rate:.0f}/s, "
                 f"gap {longest_gap_ms(load.history, began, ended):.0f} ms, healed in {recovery_s:.1f} s, {resumed} watches resumed")
    except (Failure, OSError, http.client.HTTPException) as error:
        violations.append(f"progress: {error}")
    finally:
        load.abandon()
    for slot in cluster.died():
        violations.append(f"processes: member {slot} ended by itself with {cluster.member(slot).process.returncode}")
    return story, violations, load


def keep(cluster, load, seed, strikes, violations, results):
    """Everything that helps to understand it, in a folder."""
    folder = pathlib.Path(results) / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    clients = [*load.writers, *load.watchers, load.last]
    history = load.history
    history.ops = history.ops or [op for client in clients for op in client.ops]
    history.streams = history.streams or [stream for watcher in load.watchers for stream in watcher.streams]
    history.save(folder / "history.json")
    (folder / "violations.txt").write_text(f"seed {seed}: {' '.join(map(str, strikes))}\n" + "\n".join(violations) + "\n")
    for member in cluster.members:
        shutil.copy(member.log, folder)
        member.free_disk()
        shutil.copytree(member.data, folder / f"m{member.slot}", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.key", "kubeconfig"))
    statuses = {member.slot: cluster.status(member.slot) for member in cluster.members}
    (folder / "status.json").write_text(json.dumps(statuses, indent=1))
    return folder


def new_cluster(options, network, n):
    cluster = Cluster(options.api_server, network, pathlib.Path(options.results) / f"cluster-{n}")
    cluster.work.mkdir(parents=True)
    cluster.start_all()
    return cluster


def remove(cluster, numbers):
    cluster.stop_all()
    numbers.read_logs(cluster)
    cluster.unmount()
    shutil.rmtree(cluster.work, ignore_errors=True)


def run_all(options):
    network = Network([1, 2, 3])
    network.create()
    numbers, failed, cluster, age = Numbers(), [], None, 0
    began = time.monotonic()
    for seed in range(options.first, options.first + options.schedules):
        if cluster is None or age >= FRESH_EVERY:
            if cluster is not None:
                remove(cluster, numbers)
            cluster, age = new_cluster(options, network, seed), 0
        age += 1
        strikes = nemesis.draw(seed, options.seconds, options.plant if options.plant in nemesis.PLANTED else options.only)
        story, violations, load = one_schedule(cluster, seed, strikes, options, numbers)
        print(f"seed {seed}: {' '.join(map(str, strikes))} | {story} | {'FAILED' if violations else 'ok'}", flush=True)
        if options.verbose:
            print("\n".join(f"    {n} x {reason}" for reason, n in Counter(
                f"{op.outcome} {op.kind} m{op.slot}: {op.reason}" for op in load.history.ops
                if op.outcome in ("failed", "unknown")).most_common(10)))
        if violations:
            failed.append(seed)
            for violation in violations:
                print(f"    {violation}", flush=True)
            print(f"    kept in {keep(cluster, load, seed, strikes, violations, options.results)}; again: "
                  f"./dev chaos --schedules 1 --from {seed}", flush=True)
            network.heal()
            remove(cluster, numbers)
            cluster = None
    if cluster is not None:
        remove(cluster, numbers)
    numbers.print()
    print(f"{options.schedules - len(failed)} of {options.schedules} schedules passed in {time.monotonic() - began:.0f} s"
          + (f"; failed: {' '.join(map(str, failed))}" if failed else ""))
    return 1 if failed or not was_hard_enough(numbers, options) else 0


def was_hard_enough(numbers, options):
    """Whether what was found, or not, means something."""
    if numbers.rate() < LEAST_RATE:
        print(f"too little load to prove anything: {numbers.rate():.0f} requests/s, wanted {LEAST_RATE}")
        return False
    if options.schedules >= ALL_KINDS and not options.only and numbers.states == 0:
        print("no member ever needed the whole state of another one")
        return False
    return True
