#!/usr/bin/env python3
"""Daemons that know of several api-servers: here, several roads to one, each of which can be cut or clogged."""
import threading

from server import *
from test_daemons import DAEMONS, arguments, refused, run

LEASES = "/apis/coordination.k8s.io/v1/namespaces"


class Road:
    """A port that leads to the server's."""

    def __init__(self, s):
        self.server, self.clogged, self.ends = s.port, threading.Event(), []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.server))
            except OSError:
                return
            with self.lock:
                self.ends += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    def carry(self, a, b):
        try:
            while data := a.recv(65536):
                while self.clogged.is_set():  # as a stopped process: it takes all and gives nothing
                    time.sleep(0.05)
                b.sendall(data)
        except OSError:
            pass
        self.close(a, b)

    def close(self, *ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def cut(self):
        self.close(self.listener)
        with self.lock:
            self.close(*self.ends)


def lease(s, ns, name):
    answer = s.call("GET", f"{LEASES}/{ns}/leases/{name}")
    return answer.json()["spec"] if answer.status == 200 else None


def goes_on(s, what, ns, name):
    """The holder stays the same and renews within 15 s."""
    before = lease(s, ns, name)
    wait_until(f"{what} renews its lease over another server", 15, lambda: lease(s, ns, name)["renewTime"] > before["renewTime"])
    after = lease(s, ns, name)
    equal(after["holderIdentity"], before["holderIdentity"], f"{what} is still who holds it")
    equal(after.get("leaseTransitions"), before.get("leaseTransitions"), f"changes of who is {what}")


def survive(s, harm):
    first, second = Road(s), Road(s)
    roads = ["--api-servers", f"{first.url},{second.url}"]
    leases = {"scheduler": ("kube-system", "kube-scheduler"), "kubelet": ("kube-node-lease", "here"),
              "controller-manager": ("kube-system", "kube-controller-manager")}
    processes = {d: subprocess.Popen(arguments(s, d, *roads), stderr=open(s.home / f"{d}.log", "wb")) for d in leases}
    try:
        for daemon, where in leases.items():
            wait_until(f"{daemon} has its lease", 30, lambda: lease(s, *where))
        # A list that is under way when the server hangs takes its whole time-out: the controllers have theirs first.
        wait_until("the controllers work", 30, lambda: "podCIDR" in s.call("GET", "/api/v1/nodes/here").json()["spec"])
        check(first.ends and not second.ends, "all go to the first server of the list")
        harm(first)
        body = {"metadata": {"name": "later"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
        equal(s.call("POST", "/apis/apps/v1/namespaces/default/deployments", body).status, 201, "a deployment")
        # The watches of the controllers and of the scheduler (which only the node's taints keep from binding).
        pods = "/api/v1/namespaces/default/pods"
        wait_until("the deployment has a pod", 15, lambda: s.call("GET", pods).json()["items"])
        wait_until("the scheduler has seen it", 15, lambda: any(
            c["type"] == "PodScheduled" for c in s.call("GET", pods).json()["items"][0]["status"].get("conditions", [])))
        for daemon, where in leases.items():
            goes_on(s, daemon, *where)
        for daemon, process in processes.items():
            equal(process.poll(), None, f"{daemon} runs on")
    finally:
        for process in processes.values():
            process.terminate()
        for daemon, process in processes.items():
            equal(process.wait(20), 0, f"{daemon} stops when asked to")
        first.clogged.clear()
        first.cut()
        second.cut()


def test_a_server_that_dies(s):
    survive(s, lambda road: road.cut())


def test_a_server_that_hangs(s):
    survive(s, lambda road: road.clogged.set())


def test_addresses_that_are_none(s):
    for daemon in DAEMONS:
        refused(run(s, daemon, "--api-servers", "https://127.0.0.1:1,127.0.0.1:2"), "127.0.0.1:2", "https://HOST:PORT")


if __name__ == "__main__":
    main(globals())
