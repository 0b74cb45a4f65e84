#!/usr/bin/env python3
"""What an operator does with the store: backup and restore, members, comparing them. With real api-servers and coxctl."""
import random
import re
import threading
from server import *

CHUNK = "x" * 2000
WRITERS = 8
BUMP = 1_000_000_000


def coxctl(s, *arguments, code=0, kubeconfig=None, timeout=60):
    """What it says on stdout; with another `code`, on stderr."""
    binary = pathlib.Path(s.binary).with_name("coxctl")
    done = subprocess.run([str(a) for a in (binary, "--kubeconfig", kubeconfig or s.data / "kubeconfig/admin.conf", *arguments)],
                          capture_output=True, text=True, timeout=timeout)
    equal(done.returncode, code, f"coxctl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}: the exit code")
    return done.stdout if code == 0 else done.stderr


def revision(s):
    return int(s.call("GET", MAPS + "?limit=1").json()["metadata"]["resourceVersion"])


def maps(s):
    return {i["metadata"]["name"]: i for i in s.call("GET", MAPS).json()["items"]}


def put_maps(s, prefix, count, connection=None):
    for n in range(count):
        equal(s.put_map(f"{prefix}-{n}", {"v": CHUNK}, connection=connection).status, 201, "a write")


class Load:
    """Writers that note what was acknowledged, and how long the slowest write took."""

    def __init__(self, s):
        self.s, self.stop, self.acknowledged, self.failed, self.slowest = s, threading.Event(), {}, [], 0.0
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        connection, n = self.s.connect(), 0
        while not self.stop.is_set():
            name, n = f"w{writer}-{n}", n + 1
            began = time.monotonic()
            try:
                answer = self.s.put_map(name, {"v": CHUNK}, connection=connection)
            except OSError as error:
                return self.failed.append(str(error))
            if answer.status != 201:
                return self.failed.append(f"{answer.status} {answer.body[:200]}")
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.acknowledged[name] = int(answer.json()["metadata"]["resourceVersion"])

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        check(not self.failed, f"no write failed: {self.failed[:3]}")


def restored_server(s, snapshot, *flags):
    """Another api-server on what is restored from the file, with the same authority."""
    other = Server(s.binary)
    (other.data / "pki").mkdir(parents=True, mode=0o700)
    for name in ("ca.crt", "ca.key"):
        shutil.copy(s.data / "pki" / name, other.data / "pki" / name)
    coxctl(s, "store", "snapshot", "restore", snapshot, "--data-dir", other.data, *flags)
    return other


def test_save_under_load_and_restore(s):
    put_maps(s, "before", 500)
    equal(s.call("DELETE", MAPS + "/before-7").status, 200, "a deletion")
    stale = maps(s)["before-8"]
    load = Load(s)
    wait_until("writers write", 10, lambda: len(load.acknowledged) > 200)
    known = dict(load.acknowledged)
    snapshot = s.home / "a.snap"
    said = coxctl(s, "store", "snapshot", "save", snapshot)
    wait_until("they go on", 10, lambda: len(load.acknowledged) > len(known) + 200)
    load.end()
    page = s.call("GET", MAPS + "?limit=5").json()["metadata"]["continue"]
    saved = int(re.search(r"revision (\d+),", said).group(1))
    check(max(known.values()) <= saved, f"everything acknowledged before is in it: {max(known.values())} <= {saved}")
    check(load.slowest < 2, f"nobody was held up: {load.slowest:.2f} s")
    equal(snapshot.stat().st_mode & 0o777, 0o600, "its mode: there are Secrets in it")
    check(not snapshot.with_name("a.snap.part").exists(), "no part of it is left")
    details = json.loads(coxctl(s, "store", "snapshot", "verify", snapshot, "-o", "json"))
    equal(details["revision"], saved, "what verify says")
    hashed = coxctl(s, "store", "hash", "--revision", saved)
    check(details["hash"] in hashed, f"the store of then has the same hash: {details['hash']} {hashed}")
    there = {n: o for n, o in maps(s).items() if int(o["metadata"]["resourceVersion"]) <= saved}
    latest = revision(s)
    check(latest > saved, "the cluster went on")
    s.stop()

    other = restored_server(s, snapshot)
    try:
        other.start()
        found = maps(other)
        check("before-7" not in found, "what was deleted stays deleted")
        equal({n: o for n, o in found.items()}, there, "every object, as it was then, with its resourceVersion")
        now = revision(other)
        check(now >= saved + BUMP > latest, f"the revision did not fall: {now}")
        for old in (saved - 1, saved, latest):
            answer = other.call("GET", f"{MAPS}?watch=1&resourceVersion={old}&timeoutSeconds=5")
            status = json.loads(answer.body.splitlines()[0])
            status = status.get("object", status)
            equal((status["code"], status["reason"]), (410, "Expired"), f"a watch from {old}")
        equal(other.call("GET", f"{MAPS}?limit=5&continue={page}").status, 410, "the next page of a list of before")
        equal(other.call("GET", f"{MAPS}?limit=5&resourceVersion={latest}&resourceVersionMatch=NotOlderThan").status, 200,
              "a list that may be newer")
        stale["data"]["v"] = "changed"
        updated = other.call("PUT", MAPS + "/before-8", stale)
        equal(updated.status, 200, "an update by the resourceVersion of before")
        check(int(updated.json()["metadata"]["resourceVersion"]) > now, "it gets a new one")
        equal(other.call("PUT", MAPS + "/before-8", stale).status, 409, "the same update again")
        watch = Watch(other, f"{MAPS}?watch=1&resourceVersion={now}")
        equal(watch.next()["object"]["data"]["v"], "changed", "a watch from the list goes on")
        watch.close()
        equal(other.put_map("after", {}).status, 201, "a write")
        other.stop(signal.SIGKILL)
        other.start()
        equal(set(maps(other)), set(there) | {"after"}, "all of it after a kill -9")
    finally:
        other.remove()


def test_damage_is_refused(s):
    put_maps(s, "m", 60)
    snapshot, broken, target = s.home / "a.snap", s.home / "broken.snap", s.home / "target"
    coxctl(s, "store", "snapshot", "save", snapshot)
    whole = snapshot.read_bytes()
    seed = int(os.environ.get("COXSWAIN_SEED", "20261121"))
    rng = random.Random(seed)
    places = [0, 8, 30, len(whole) - 1, len(whole) - 40] + [rng.randrange(len(whole)) for _ in range(12)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        broken.write_bytes(damaged)
        said = coxctl(s, "store", "snapshot", "verify", broken, code=1)
        check(len(said.strip().splitlines()) == 1 and str(broken) in said, f"seed {seed} byte {place}: one line: {said}")
        coxctl(s, "store", "snapshot", "restore", broken, "--data-dir", target, code=1)
        check(not (target / "store").exists() and not (target / "store.restoring").exists(), "nothing is left")
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        broken.write_bytes(whole[:size])
        check("cut off" in coxctl(s, "store", "snapshot", "verify", broken, code=1), f"cut at {size}")
        coxctl(s, "store", "snapshot", "restore", broken, "--data-dir", target, code=1)
    broken.write_bytes(whole + b"x")
    coxctl(s, "store", "snapshot", "verify", broken, code=1)
    check(not (target / "store").exists(), "nothing is left")
    coxctl(s, "store", "snapshot", "restore", snapshot, "--data-dir", target)
    check((target / "store/FORMAT").exists(), "the whole one is restored there")


def test_a_restore_that_is_killed(s):
    """At random moments: the directory is not there, or all of it is."""
    connection = s.connect()
    for n in range(40):
        s.put_map(f"big-{n}", {"v": "y" * 900_000}, connection=connection)
    snapshot, target = s.home / "a.snap", s.home / "target"
    coxctl(s, "store", "snapshot", "save", snapshot)
    s.stop()
    (target / "pki").mkdir(parents=True, mode=0o700)
    for name in ("ca.crt", "ca.key"):
        shutil.copy(s.data / "pki" / name, target / "pki" / name)
    command = [str(a) for a in (pathlib.Path(s.binary).with_name("coxctl"), "store", "snapshot", "restore", snapshot,
                                "--data-dir", target)]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    takes = time.monotonic() - began
    shutil.rmtree(target / "store")
    s.data = target  # the same server, on what is restored
    rng = random.Random(int(os.environ.get("COXSWAIN_SEED", "20261121")))
    cut_off = whole = 0
    for _ in range(25):
        restoring = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * takes * 1.2)
        restoring.kill()
        restoring.wait()
        if not (target / "store").exists():
            cut_off += 1
            continue
        whole += 1
        check(not (target / "store.restoring").exists(), "it has the one name only")
        s.start()
        equal(len(maps(s)), 40, "all of it")
        s.stop()
        shutil.rmtree(target / "store")
    check(cut_off > 3 and whole > 0, f"some were cut off, others not: {cut_off} and {whole}")
    subprocess.run(command, check=True, capture_output=True)
    check((target / "store/FORMAT").exists(), "the next attempt is not in the way of what was left")


def test_nothing_is_replaced(s):
    put_maps(s, "m", 3)
    snapshot = s.home / "a.snap"
    coxctl(s, "store", "snapshot", "save", snapshot)
    before = snapshot.read_bytes()
    check("exists" in coxctl(s, "store", "snapshot", "save", snapshot, code=1), "an older file stays")
    equal(snapshot.read_bytes(), before, "it")
    check("has a store already" in coxctl(s, "store", "snapshot", "restore", snapshot, "--data-dir", s.data, code=1),
          "a store that is there stays")
    equal(len(maps(s)), 3, "the store goes on")
    for flags, word in ((["--bump-revision", "0"], "bump-revision"), (["--member-id", "2"], "--initial-cluster"),
                        (["--initial-cluster", "nonsense"], "nonsense"),
                        (["--initial-cluster", "1=h:1,2=h:2"], "--cluster-id"),
                        (["--initial-cluster", "1=h:1,2=h:1", "--cluster-id", "c"], "twice")):
        done = subprocess.run([str(pathlib.Path(s.binary).with_name("coxctl")), "store", "snapshot", "restore", str(snapshot),
                               "--data-dir", str(s.home / "other"), *flags], capture_output=True, text=True, timeout=20)
        check(done.returncode != 0 and word in done.stderr, f"{flags}: {done.stderr}")
    check(not (s.home / "other/store").exists(), "nothing was written")
    check("cannot read" in coxctl(s, "store", "snapshot", "verify", s.home / "none", code=1), "no such file")


def test_only_for_the_admin(s):
    for path in ("status", "members", "hash", "snapshot"):
        equal(s.call("GET", f"/store/v1/{path}", context=s.tls(None)).status, 401, f"{path} for nobody")
        for who in ("scheduler-client", "kube-proxy-client"):
            answer = s.call("GET", f"/store/v1/{path}", context=s.tls(who))
            equal((answer.status, answer.json()["reason"]), (403, "Forbidden"), f"{path} for {who}")
    equal(s.call("POST", "/store/v1/compact", {"revision": 1}, context=s.tls("scheduler-client")).status, 403, "compact")
    said = coxctl(s, "store", "status", code=1, kubeconfig=s.data / "kubeconfig/scheduler.conf")
    check("Forbidden" in said and "admin" in said, f"coxctl says what to use: {said}")
    check("member-1" in coxctl(s, "store", "status"), "the admin may")


def test_compact_and_hash(s):
    put_maps(s, "m", 20)
    then = revision(s)
    first = coxctl(s, "store", "hash", "--revision", then)
    check("equal: 1 member" in first, first)
    put_maps(s, "n", 20)
    equal(coxctl(s, "store", "hash", "--revision", then), first, "the same for ever")
    check(coxctl(s, "store", "hash") != first, "another one now")
    check(f"compacted to revision {then + 5};" in coxctl(s, "store", "compact", then + 5), "compacted")
    check("compacted" in s.call("GET", f"/store/v1/hash?revision={then}").json()["message"], "no hash of before")
    check("could not be asked" in coxctl(s, "store", "hash", "--revision", then, code=1), "nor in coxctl")
    check("future" in coxctl(s, "store", "compact", 10**9, code=1), "not into the future")
    status = s.call("GET", "/store/v1/status").json()
    equal(status["compactedRevision"], then + 5, "the status says so")
    answer = s.call("GET", f"{MAPS}?resourceVersion={then}&resourceVersionMatch=Exact")
    equal(answer.status, 410, "reads of before")


def resident_bytes(process):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1)) * 1024


def begin_snapshot(s):
    """A connection that asked for a snapshot and has the first bytes of the answer."""
    connection = s.raw()
    connection.sendall(b"GET /store/v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
    equal(connection.recv(15), b"HTTP/1.1 200 OK", "the answer")
    return connection


def test_a_reader_that_stops_costs_nothing(s):
    connection = s.connect()
    for n in range(120):
        equal(s.put_map(f"big-{n}", {"v": "y" * 900_000}, connection=connection).status, 201, "a big write")
    before = resident_bytes(s.process)
    stuck = [begin_snapshot(s) for _ in range(3)]
    time.sleep(2)
    grown = resident_bytes(s.process) - before
    # Each holds a block of every sorted run of RocksDB: here one value of 900 kB each.
    check(grown < 64 << 20, f"three readers of 108 MB who read nothing: {grown >> 20} MiB more")
    began = time.monotonic()
    put_maps(s, "meanwhile", 20, connection)
    check(time.monotonic() - began < 2, "writes go on")
    coxctl(s, "store", "snapshot", "save", s.home / "beside.snap")
    check(s.home.joinpath("beside.snap").stat().st_size > 100 << 20, "another one saves everything")
    stuck.append(begin_snapshot(s))
    refused = s.call("GET", "/store/v1/hash")
    equal((refused.status, refused.json()["reason"]), (429, "TooManyRequests"), "a fifth is one too many")
    for one in stuck:
        one.close()
    wait_until("their places are free", 20, lambda: s.call("GET", "/store/v1/hash").status == 200)


def test_a_save_that_is_cut_off_leaves_nothing(s):
    connection = s.connect()
    for n in range(60):
        s.put_map(f"big-{n}", {"v": "y" * 900_000}, connection=connection)
    binary, snapshot = pathlib.Path(s.binary).with_name("coxctl"), s.home / "a.snap"
    saving = subprocess.Popen([str(a) for a in (binary, "--kubeconfig", s.data / "kubeconfig/admin.conf", "store", "snapshot",
                                                "save", snapshot)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_until("it has begun", 20, lambda: snapshot.with_name("a.snap.part").stat().st_size > 0 or saving.poll() is not None,
               interval=0.001)
    saving.send_signal(signal.SIGSTOP)
    check(not snapshot.exists(), "it was stopped half-way")
    s.stop(signal.SIGKILL)
    saving.send_signal(signal.SIGCONT)
    said = saving.communicate(timeout=20)[1]
    equal(saving.returncode, 1, f"the exit code: {said}")
    check("not saved" in said or "cut off" in said, f"it says so: {said}")
    check(not snapshot.exists() and not snapshot.with_name("a.snap.part").exists(), "no part is left")
    s.start()
    equal(len([n for n in maps(s) if n.startswith("big-")]), 60, "the server is well")


# ---- groups ----

def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Member(Server):
    """An api-server of a group, in a directory of its own below the home of `s`, with the authority of `s`."""

    def __init__(self, s, id, port, peer_port, flags):
        super().__init__(s.binary, s.home / f"member-{id}", flags)
        self.id, self.port, self.peer = id, port, f"127.0.0.1:{peer_port}"
        self.flags += ["--member-id", str(id), "--peer-bind-address", "127.0.0.1"]
        (self.data / "pki").mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("ca.crt", "ca.key"):
            shutil.copy(s.data / "pki" / name, self.data / "pki" / name)

    def launch(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in self.arguments(self.port)], stderr=log, stdin=subprocess.DEVNULL)

    def well(self):
        check(self.process.poll() is None, f"member {self.id} runs: {self.log.read_text()[-500:]}")
        return self.ready()


class Group:
    def __init__(self, s, ids=(1, 2, 3), flags=()):
        self.s, self.ports = s, free_ports(2 * len(ids))
        self.members = {id: Member(s, id, self.ports[2 * i], self.ports[2 * i + 1], flags) for i, id in enumerate(ids)}
        self.list = ",".join(f"{m.id}={m.peer}" for m in self.members.values())
        for member in self.members.values():
            member.flags += ["--initial-cluster", self.list]

    def start(self):
        for member in self.members.values():
            member.launch()
        for member in self.members.values():
            wait_until(f"member {member.id} is ready", 30, member.well)
        return self

    def leader(self):
        status = next(m for m in self.members.values() if m.process).call("GET", "/store/v1/status").json()
        return int(status["leader"])

    def stop(self):
        for member in self.members.values():
            member.stop()

    def remove(self):
        for member in self.members.values():
            member.remove()


def rows(table):
    lines = [re.split(r" {2,}", line) for line in table.splitlines() if not line.startswith("member ")]
    return {line[0]: dict(zip(lines[0], line)) for line in lines[1:]}


def with_group(test):
    """The server is started and stopped once: it makes the authority."""
    def run(s):
        s.start()
        s.stop()
        group = Group(s)
        try:
            group.start()
            test(s, group)
        except Exception:
            for member in group.members.values():
                if member.log.exists():
                    print(f"    member {member.id}: " + member.log.read_text(errors="replace")[-800:].replace("\n", "\n    "))
            raise
        finally:
            group.remove()
    run.__name__ = test.__name__
    return starts_itself(run)


@with_group
def test_members_of_a_group(s, group):
    one = group.members[1]
    put_maps(one, "m", 50)
    wait_until("all have said who they are", 20, lambda: "<unknown>" not in coxctl(one, "store", "status"))
    table = rows(coxctl(one, "store", "status"))
    equal(sorted(r["ROLE"] for r in table.values()), ["follower", "follower", "leader"], "the roles")
    equal({r["HEALTH"] for r in table.values()}, {"ok"}, "the health")
    equal(len({r["TERM"] for r in table.values()}), 1, "the term")
    check("equal: 3 members" in coxctl(one, "store", "hash"), "they have the same")

    leader = group.leader()
    to = next(i for i in group.members if i != leader)
    check(f"member {to} leads now" in coxctl(one, "store", "transfer-leader", to), "handed over")
    equal(rows(coxctl(one, "store", "status"))[str(to)]["ROLE"], "leader", "the new leader")

    port, peer_port = free_ports(2)
    said = coxctl(one, "store", "member", "add", "four", "--peer-address", f"127.0.0.1:{peer_port}")
    check("has that" in coxctl(one, "store", "member", "add", "four", "--peer-address", "127.0.0.1:1", code=1), "its name is taken")
    flags = dict(re.findall(r"--([a-z-]+) (\S+)", said[said.index("api-server --data-dir"):said.index("When")]))
    four = Member(s, int(flags["member-id"]), port, peer_port, [])
    group.members[four.id] = four
    four.flags += [x for name in ("initial-cluster", "initial-cluster-state", "cluster-id") for x in (f"--{name}", flags[name])]
    four.launch()
    wait_until("the learner serves", 30, four.well)
    equal(len([n for n in maps(four) if n.startswith("m-")]), 50, "it has everything")
    equal(rows(coxctl(one, "store", "status"))[str(four.id)]["ROLE"], "learner", "it has no vote")
    check("has a vote now" in wait_until("promoted", 20, lambda: coxctl(one, "store", "member", "promote", four.id)), "promoted")
    wait_until("all agree", 20, lambda: "equal: 4 members" in coxctl(one, "store", "hash"))

    gone = next(i for i in group.members if i not in (1, four.id, group.leader()))
    group.members[gone].stop(signal.SIGKILL)
    table = coxctl(one, "store", "status")
    equal(rows(table)[str(gone)]["HEALTH"], "unreachable", "a dead member")
    check(f"member {gone}: unreachable" in table, "and why")
    check("could not be asked" in coxctl(one, "store", "hash", code=1), "it cannot be compared")
    check("for good" in coxctl(one, "store", "member", "remove", gone), "removed")
    check(str(gone) not in rows(coxctl(one, "store", "status")), "it is not shown any more")
    check("equal: 3 members" in coxctl(one, "store", "hash"), "the others are equal")
    check("removed" in coxctl(one, "store", "member", "list"), "the list remembers")
    check("not found" in coxctl(one, "store", "member", "remove", 77, code=1), "an unknown member")
    coxctl(one, "store", "transfer-leader", 77, code=1)


def break_committed_record(member):
    """Flips a bit in the middle of what is surely committed."""
    segment = sorted((member.data / "store/raft").glob("*.wal"))[-1]
    log = bytearray(segment.read_bytes())
    used = len(log.rstrip(b"\0"))
    log[used // 2] ^= 4
    segment.write_bytes(log)


def replaced(group, old, by):
    """Member `by` is in the place of `old`, started with the flags of `old`."""
    member = group.members[old]
    member.launch()
    wait_until("it is ready", 30, member.well)
    leader = group.members[group.leader()] if group.leader() in group.members else member
    wait_until("it votes", 30, lambda: rows(coxctl(leader, "store", "status"))[str(by)]["ROLE"] in ("follower", "leader"))
    wait_until("all agree", 20, lambda: "equal: 3 members" in coxctl(leader, "store", "hash"))


@with_group
def test_a_damaged_member_gets_it_all_from_the_others(s, group):
    one = group.members[1]
    put_maps(one, "m", 100)
    wait_until("all agree", 20, lambda: "equal: 3 members" in coxctl(one, "store", "hash"))
    bad = next(i for i in group.members if i not in (1, group.leader()))
    two = group.members[bad]
    refused = coxctl(one, "store", "member", "replace", bad, "--data-dir", two.data, code=1)
    check("in use" in refused or "another process" in refused, f"while it runs: {refused}")
    refused = coxctl(one, "store", "member", "replace", 1, "--data-dir", two.data, code=1)
    check(f"directory of member {bad}" in refused, f"another one's directory: {refused}")
    refused = coxctl(one, "store", "member", "replace", bad, "--data-dir", s.data, code=1)
    check("not the directory of a member" in refused, f"somebody else's directory: {refused}")
    equal(len(rows(coxctl(one, "store", "status"))), 3, "nothing was changed")
    two.stop()
    break_committed_record(two)
    before = {p.name: p.read_bytes() for p in (two.data / "store/raft").glob("*.wal")}
    two.launch()
    equal(two.process.wait(30), 1, "it refuses to start")
    said = two.log.read_text()
    check("damaged" in said, "it says what is wrong")
    check(f"coxctl store member replace {bad} --data-dir {two.data}" in said, f"and what to do: {said[-600:]}")
    equal({p.name: p.read_bytes() for p in (two.data / "store/raft").glob("*.wal")}, before, "it changed nothing")
    put_maps(one, "while-away", 50)

    said = coxctl(one, "store", "member", "replace", bad, "--data-dir", two.data)
    check(f"member {bad} " in said and "member 4 takes its place" in said, said)
    check((two.data / f"store.replaced-{bad}/raft").is_dir(), "the evidence is kept")
    again = coxctl(one, "store", "member", "replace", bad, "--data-dir", two.data, code=1)
    check(f"in the place of member {bad}" in again, f"once is enough: {again}")
    replaced(group, bad, 4)
    equal(set(maps(two)), set(maps(one)), "it has everything")
    equal(maps(two)["while-away-7"], maps(one)["while-away-7"], "to the byte")

    # The same machine again, now with an empty disk; asked for twice, as if the first time had been cut off.
    two.stop(signal.SIGKILL)
    shutil.rmtree(two.data / "store")
    wait_until("the others lead", 20, lambda: coxctl(one, "store", "member", "replace", 4))
    coxctl(one, "store", "member", "replace", 4)
    check("takes its place" in coxctl(one, "store", "member", "replace", 4, "--data-dir", two.data), "a lost disk")
    two.flags[two.flags.index("--member-id") + 1] = "4"
    two.flags[two.flags.index("--initial-cluster") + 1] = group.list.replace(f"{bad}=", "4=")
    replaced(group, bad, 5)
    equal(set(maps(two)), set(maps(one)), "it has everything again")


@with_group
def test_without_a_quorum(s, group):
    one = group.members[1]
    put_maps(one, "m", 10)
    wait_until("all agree", 20, lambda: "equal: 3 members" in coxctl(one, "store", "hash"))
    for id in (2, 3):
        group.members[id].stop(signal.SIGKILL)
    wait_until("it notices", 20, lambda: rows(coxctl(one, "store", "status"))["1"]["HEALTH"] != "ok")
    table = rows(coxctl(one, "store", "status"))
    equal([table[i]["HEALTH"] for i in ("2", "3")], ["unreachable"] * 2, "the others")
    snapshot = s.home / "alone.snap"
    for command in (["snapshot", "save", snapshot], ["member", "add", "x", "--peer-address", "127.0.0.1:1"],
                    ["transfer-leader", "2"], ["compact", "5"]):
        said = coxctl(one, "store", *command, code=1)
        check("coxctl store status" in said, f"{command} says what to do: {said}")
    check(not snapshot.exists(), "no file")
    coxctl(one, "store", "snapshot", "save", snapshot, "--local")
    other = restored_server(one, snapshot)
    try:
        other.start()
        equal(len(maps(other)), 10, "what the one that was left had")
    finally:
        other.remove()


@with_group
def test_save_and_restore_a_group(s, group):
    follower = next(m for m in group.members.values() if m.id != group.leader())
    put_maps(group.members[group.leader()], "m", 200)
    snapshot = s.home / "group.snap"
    said = coxctl(follower, "store", "snapshot", "save", snapshot)
    saved = int(re.search(r"revision (\d+),", said).group(1))
    old_cluster = json.loads(coxctl(s, "store", "snapshot", "verify", snapshot, "-o", "json"))["clusterId"]
    check(saved >= revision(follower) - 2, f"a follower's snapshot has what was acknowledged: {saved}")
    group.stop()
    for member in group.members.values():
        (member.data / "store").rename(member.data / "store-of-before")
        coxctl(s, "store", "snapshot", "restore", snapshot, "--data-dir", member.data, "--member-id", member.id,
               "--initial-cluster", group.list, "--cluster-id", "after-the-fire")
    group.start()
    one = group.members[1]
    for member in group.members.values():
        equal(len([n for n in maps(member) if n.startswith("m-")]), 200, f"member {member.id} has everything")
        check(revision(member) > saved + BUMP, "at a new revision")
    status = one.call("GET", "/store/v1/status").json()
    equal(status["clusterId"], "after-the-fire", "the cluster's id")
    check(old_cluster != "after-the-fire", "it was another one")
    equal([m["role"] for m in status["members"]], ["voter"] * 3, "the members are new")
    put_maps(one, "after", 20)
    wait_until("all agree", 20, lambda: "equal: 3 members" in coxctl(one, "store", "hash"))

    # A new member has nothing at all: it must get the state, not just what was written since.
    port, peer_port = free_ports(2)
    coxctl(one, "store", "member", "add", "four", "--peer-address", f"127.0.0.1:{peer_port}")
    four = Member(s, 4, port, peer_port, [])
    group.members[4] = four
    four.flags += ["--initial-cluster", f"{group.list},4=127.0.0.1:{peer_port}", "--initial-cluster-state", "existing",
                   "--cluster-id", "after-the-fire"]
    four.launch()
    wait_until("the learner serves", 30, four.well)
    equal(set(maps(four)), set(maps(one)), "it has everything")
    wait_until("all agree", 20, lambda: "equal: 4 members" in coxctl(one, "store", "hash"))
    four.stop()

    # A member of the lost group is not let in.
    two = group.members[2]
    two.stop()
    (two.data / "store").rename(two.data / "store-restored")
    (two.data / "store-of-before").rename(two.data / "store")
    two.launch()
    wait_until("it is told why", 20, lambda: "cluster" in two.log.read_text()[-3000:])
    time.sleep(1)
    check(not two.ready(), "a member of the lost group does not serve")
    equal(one.put_map("still", {}).status, 201, "the new group does")


if __name__ == "__main__":
    main(globals())
