"""Where there are several of everything: one that is lost is replaced by another, and nobody has to ask twice."""
import json
import signal
import subprocess
import threading
import time

from cluster import PORT, check, health_address, wait_until
from flows.manifests import deployment, namespace

CONTROL_PLANES = ("three", "etcd")
NS = "failover"
LEASES = {"scheduler": "kube-scheduler", "controller-manager": "kube-controller-manager"}
WITHIN_S = 15  # lease 10 s, retry period 1.5 s, and the calls: see leader_elector.h


def holder(c, kind):
    return c.get("lease", LEASES[kind], "-n", "kube-system")["spec"].get("holderIdentity", "")


def leads(c, name):
    return any(line.startswith("leader_election_master_status") and line.endswith(" 1")
               for line in c.curl(f"http://{health_address(name)}/metrics").splitlines())


def leading(c, kind):
    return wait_until(f"a {kind} leads", 20, lambda: next((name for name in c.plane.instances(kind) if leads(c, name)), None))


def lose(c, victims, how, seconds, app):
    """Ends these processes, and sees that the leases of their kinds change hands and that work goes on meanwhile."""
    kinds = [kind for kind in LEASES if any(name.startswith(kind) for name in victims)]
    before = {kind: holder(c, kind) for kind in kinds}
    started = time.monotonic()
    for name in victims:
        c.processes[name].send_signal(how)
    for name in victims:
        c.processes[name].wait(30)
    c.apply(deployment(app, NS, replicas=2, readiness=False))
    for kind in kinds:
        wait_until(f"another {kind} has the lease", seconds - (time.monotonic() - started),
                   lambda kind=kind: holder(c, kind) not in ("", before[kind]), interval=0.05)
        print(f"  time  {kind} was followed {time.monotonic() - started:.1f} s after {how.name} of {', '.join(victims)}", flush=True)
    c.wait_ready(NS, f"app={app}", 2, seconds=30)
    for name in victims:
        c.start_daemon(name)
    wait_until("all api-servers are ready", 30, c.api_ready)


def test_killed_leaders_are_followed_within_their_lease(c):
    c.apply(namespace(NS))
    for kind in LEASES:
        lose(c, [leading(c, kind)], signal.SIGKILL, WITHIN_S, f"after-{kind}")


def test_leaders_that_are_stopped_hand_over_at_once(c):
    for kind in LEASES:  # whoever waits looks every 1.5 s
        lose(c, [leading(c, kind)], signal.SIGTERM, 5, f"polite-{kind}")


def test_a_machine_is_lost(c):
    """An api-server (the store's leader, if it has one) together with both leaders."""
    server = c.plane.leader() if c.plane.name == "three" else "api-server"
    lose(c, [server, *(leading(c, kind) for kind in LEASES)], signal.SIGKILL, WITHIN_S, "machine")


class Follower(threading.Thread):
    """Watches ConfigMaps through the port that all api-servers share, and goes on from where it was when that breaks off."""

    def __init__(self, c):
        super().__init__(daemon=True)
        self.c, self.seen, self.breaks, self.problem, self.stopping, self.curl = c, [], -1, None, threading.Event(), None
        self.url = f"https://127.0.0.1:{PORT}/api/v1/namespaces/{NS}/configmaps"
        self.revision = json.loads(c.api("GET", f"/api/v1/namespaces/{NS}/configmaps")[1])["metadata"]["resourceVersion"]

    def run(self):
        while not self.stopping.is_set() and self.problem is None:
            self.breaks += 1
            url = f"{self.url}?watch=1&resourceVersion={self.revision}&timeoutSeconds=600"
            self.curl = subprocess.Popen(["curl", "-sSN", *self.c.credentials(), url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                         text=True)
            for line in self.curl.stdout:
                self.take(line)
            self.curl.wait()
            time.sleep(0.1)

    def take(self, line):
        if not line.endswith("\n"):  # cut off: it will be sent again
            return
        event = json.loads(line)
        metadata = event["object"].get("metadata", {})
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            self.problem = line
            return
        self.revision = metadata["resourceVersion"]
        if event["type"] == "ADDED":
            self.seen.append(metadata["name"])

    def finish(self):
        self.stopping.set()
        self.curl.terminate()
        self.join(10)


def kubectl_watch(c, url):
    """kubectl get -w at one api-server; what it prints is in the file."""
    out = open(c.home / f"watch-{url.rpartition(':')[2]}", "w+")
    subprocess.run([c.kubectl_binary, "get", "configmaps", "-n", NS, "--server", url], check=True, capture_output=True, env=c.environment())
    return subprocess.Popen([c.kubectl_binary, "get", "configmaps", "-n", NS, "-w", "-o", "name", "--server", url], stdout=out,
                            stderr=subprocess.DEVNULL, env=c.environment()), out


def test_kubectl_goes_on_while_any_one_is_lost(c):
    servers = dict(zip(c.plane.instances("api-server"), c.plane.urls()))
    follower, made = Follower(c), []
    follower.start()
    try:
        for victim in c.plane.spared():
            watches = {name: kubectl_watch(c, url) for name, url in servers.items()}
            time.sleep(0.5)  # they have listed
            c.kill(victim)
            for n in range(5):
                made.append(f"without-{victim}-{n}")
                c.kubectl("create", "configmap", made[-1], "-n", NS)
                check(made[-1] in c.kubectl("get", "configmap", made[-1], "-n", NS), "it can be read at once")
            for name, (process, out) in watches.items():
                def told(out=out):
                    out.seek(0)
                    return made[-1] in out.read()
                if name == victim:
                    wait_until("the watch at who died ends", 10, lambda process=process: process.poll() is not None)
                else:
                    wait_until(f"kubectl get -w at {name} shows what was made without {victim}", 10, told)
                process.kill()
                process.wait()
            c.start_daemon(victim)
            wait_until("all are back", 30, c.api_ready)
        check(follower.problem is None, f"the watch could always be taken up: {follower.problem}")
        wait_until("the watch shows everything", 10, lambda: len([n for n in follower.seen if n.startswith("without-")]) >= len(made))
    finally:
        follower.finish()
    seen = [name for name in follower.seen if name.startswith("without-")]
    check(seen == made, f"each once, in order: {seen}, not {made}")
    check(follower.breaks >= 1, "it was cut off at least once")
    c.kubectl("delete", "namespace", NS, "--timeout=90s")
