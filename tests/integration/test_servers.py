#!/usr/bin/env python3
"""Three api-servers, each a process with its own member of the store: one control plane."""
from server import *
from test_daemons import arguments, free_port
from test_failover import goes_on, lease

ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class Member(Server):
    def arguments(self, port):
        out = super().arguments(port)
        out[out.index("--log-level") + 1] = "info"
        return out

    def spawn(self):
        (self.home / "port").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in self.arguments(self.port)], stderr=log, stdin=subprocess.DEVNULL)
        return self

    def wait_started(self):
        wait_until(f"the server at {self.port} is ready", 30, lambda: (self.home / "port").exists() and self.ready())

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"


class Group:
    """The members that share one authority; made in the home of the test's own server, which never runs."""

    def __init__(self, s):
        made = subprocess.run([s.binary, "issue-node", "here", "--data-dir", s.data, "--advertise-address", "127.0.0.1"],
                              capture_output=True, text=True, timeout=20)
        equal(made.returncode, 0, f"the authority is made: {made.stderr}")
        peers = ",".join(f"{i}=127.0.0.1:{free_port()}" for i in (1, 2, 3))
        self.members = []
        for i in (1, 2, 3):
            member = Member(s.binary, s.home / f"member-{i}", ["--initial-cluster", peers, "--member-id", i])
            (member.data / "pki").mkdir(parents=True, mode=0o700)
            for name in ("ca.crt", "ca.key"):
                shutil.copy(s.data / "pki" / name, member.data / "pki" / name)
            member.port = free_port()
            self.members.append(member)

    def __enter__(self):
        return self.members

    def __exit__(self, *_):
        for member in self.members:
            member.remove()


def targets(s):
    """The ports that Endpoints, and all slices, lead to; None while they differ."""
    subsets = s.call("GET", ENDPOINTS).json()["subsets"]
    slices = s.call("GET", SLICES).json()["items"]
    one = sorted(p["port"] for x in subsets for _ in x["addresses"] for p in x["ports"])
    other = sorted(p["port"] for x in slices for _ in x["endpoints"] for p in x["ports"])
    return one if one == other else None


def leads_to(s, members, seconds):
    wanted = sorted(m.port for m in members)
    wait_until(f"the Service kubernetes leads to {wanted}", seconds, lambda: targets(s) == wanted)


@starts_itself
def test_one_alone_waits_for_the_others(s):
    with Group(s) as (a, b, c):
        a.spawn()
        wait_until("it says what it waits for", 15, lambda: "waiting for the store" in a.log.read_text())
        wait_until("it is alive", 5, lambda: a.call("GET", "/livez").status == 200)
        told = a.call("GET", "/readyz?verbose")
        check(told.status == 500 and b"[-]store failed: " in told.body and b"withheld" not in told.body, f"why: {told.body}")
        anybody = a.call("GET", "/readyz?verbose", context=a.tls(None))
        check(anybody.status == 500 and b"[-]store failed: reason withheld" in anybody.body, f"not to all: {anybody.body}")
        refused = a.call("GET", MAPS)
        equal((refused.status, refused.json()["reason"]), (503, "ServiceUnavailable"), "an object")
        check(int(refused.headers["Retry-After"]) >= 1, "and it may be asked for later")
        began = time.monotonic()
        equal(a.stop(), 0, "it stops when asked to")
        check(time.monotonic() - began < 10, f"at once, not after {time.monotonic() - began:.1f} s")
        for member in (a, b):  # two of three are a quorum
            member.spawn()
        for member in (a, b):
            member.wait_started()
        equal(a.put_map("m", {"k": "1"}).status, 201, "a write")
        c.spawn().wait_started()
        equal(c.call("GET", f"{MAPS}/m").json()["data"], {"k": "1"}, "the third knows it")


@starts_itself
def test_any_one_may_die(s):
    with Group(s) as members:
        for member in members:
            member.spawn()
        for member in members:
            member.wait_started()
        a, b, c = members
        leads_to(a, members, 5)
        equal(sorted(x["metadata"]["name"] for x in a.call("GET", SLICES).json()["items"]),
              ["kubernetes"] + sorted(f"kubernetes-{p}" for p in sorted(m.port for m in members)[1:]), "a slice for each port")
        for i in range(30):
            writer, reader = members[i % 3], members[(i + 1) % 3]
            equal(writer.put_map(f"m{i}", {"k": str(i)}).status, 201, "a write")
            equal(reader.call("GET", f"{MAPS}/m{i}").json().get("data"), {"k": str(i)}, "another server reads it")
        survive_the_death_of(s, members)
        a.spawn().wait_started()
        leads_to(b, members, 5)
        equal(a.call("GET", f"{MAPS}/meanwhile").status, 200, "what it missed it knows")
        equal(b.stop(), 0, "an orderly stop")
        leads_to(c, [a, c], 3)


@starts_itself
def test_one_that_was_stopped_tells_nothing_old(s):
    with Group(s) as members:
        for member in members:
            member.spawn()
        for member in members:
            member.wait_started()
        one = f"{MAPS}/m"
        equal(members[0].put_map("m", {"n": "0"}).status, 201, "a write")
        for n, sleeper in enumerate(members * 2, 1):  # whoever leads is among them
            other = members[n % 3]
            sleeper.process.send_signal(signal.SIGSTOP)
            try:
                body = {"metadata": {"name": "m"}, "data": {"n": str(n)}}
                wait_until("a write by another server", 15, lambda: other.call("PUT", one, body).status == 200)
            finally:
                sleeper.process.send_signal(signal.SIGCONT)
            good, deadline = 0, time.monotonic() + 15
            while good < 20 and time.monotonic() < deadline:
                answer = sleeper.call("GET", one)
                check(answer.status in (200, 503), f"{answer.status}: {answer.body}")
                if answer.status == 200:
                    good += 1
                    equal(answer.json()["data"], {"n": str(n)}, "what the one that was stopped reads")
            check(good == 20, "it serves again")


def survive_the_death_of(s, members):
    a, b, c = members
    s.port = b.port  # who is asked
    urls = ",".join(m.url for m in members)
    leases = {"scheduler": ("kube-system", "kube-scheduler"), "controller-manager": ("kube-system", "kube-controller-manager")}
    shutil.copytree(a.data / "kubeconfig", s.data / "kubeconfig", dirs_exist_ok=True)
    processes = {d: subprocess.Popen(arguments(s, d, "--api-servers", urls), stderr=open(s.home / f"{d}.log", "wb")) for d in leases}
    try:
        for daemon, where in leases.items():
            wait_until(f"{daemon} leads", 30, lambda: lease(b, *where))
        a.stop(signal.SIGKILL)
        wait_until("a write by another server", 10, lambda: b.put_map("meanwhile", {}).status == 201)
        for daemon, where in leases.items():
            goes_on(b, daemon, *where)
            equal(processes[daemon].poll(), None, f"{daemon} runs on")
        leads_to(c, [b, c], 30)
    finally:
        for process in processes.values():
            process.terminate()
        for daemon, process in processes.items():
            equal(process.wait(20), 0, f"{daemon} stops when asked to")


if __name__ == "__main__":
    main(globals())
