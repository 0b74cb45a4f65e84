"""Flow 3: rolling update and undo under load lose no request; scaling works."""
import subprocess
import threading
import time

from cluster import check, wait_until
from flows.manifests import deployment, namespace, service

NS = "rollout"
GRACEFUL = """
        lifecycle:
          preStop: {exec: {command: [/bin/sleep, "2"]}}"""  # not "sleep": Debian's kubectl 1.20 would drop it on undo


class Load(threading.Thread):
    """Requests one after the other until stopped; counts good and bad ones."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.good, self.bad, self.stopping, self.errors = url, 0, 0, threading.Event(), []

    def run(self):
        while not self.stopping.is_set():
            done = subprocess.run(["curl", "-sS", "--fail", "--max-time", "5", self.url], capture_output=True, text=True)
            if done.returncode == 0:
                self.good += 1
            else:
                self.bad += 1
                self.errors.append(done.stderr.strip())

    def finish(self):
        self.stopping.set()
        self.join(10)
        check(self.good > 20, f"the load ran: {self.good} requests")
        check(self.bad == 0, f"{self.bad} of {self.good + self.bad} requests failed: {self.errors[:3]}")


def test_rolling_update_and_undo_without_a_failed_request(c):
    c.apply(namespace(NS) + "---" + deployment("web", NS, extra_container=GRACEFUL) + "---" + service("web", NS))
    c.wait_ready(NS, "app=web", 3)
    url = f"http://{c.get('service', 'web', '-n', NS)['spec']['clusterIP']}/cgi-bin/who"
    wait_until("answers", 5, lambda: c.curl(url))
    generations(c, 1)
    loads = [Load(url) for _ in range(3)]
    for load in loads:
        load.start()
    c.kubectl("set", "env", "deployment/web", "-n", NS, "VERSION=2")
    c.kubectl("rollout", "status", "deployment/web", "-n", NS, "--timeout=90s")
    check("2" in c.kubectl("rollout", "history", "deployment/web", "-n", NS), "two revisions")
    generations(c, 2)
    c.kubectl("rollout", "undo", "deployment/web", "-n", NS)
    c.kubectl("rollout", "status", "deployment/web", "-n", NS, "--timeout=90s")
    for load in loads:
        load.finish()
    env = c.get("deployment", "web", "-n", NS)["spec"]["template"]["spec"]["containers"][0]["env"]
    check(all(e["name"] != "VERSION" for e in env), "undo took the change back")


def generations(c, wanted):
    """Only what users change counts as a new generation, not what the controller writes down."""
    d = wait_until("the controller has seen it", 10, lambda: (lambda x: x if x["status"].get("observedGeneration") == wanted else None)(
        c.get("deployment", "web", "-n", NS)))
    check(d["metadata"]["generation"] == wanted, f"generation: {d['metadata']['generation']}")


def test_pause_and_resume(c):
    wait_until("the rollout before is over", 30, lambda: len(c.pods(NS, "app=web")) == 3)
    c.kubectl("rollout", "pause", "deployment/web", "-n", NS)
    c.kubectl("set", "env", "deployment/web", "-n", NS, "PAUSED=1")
    before = {p["metadata"]["uid"] for p in c.pods(NS, "app=web")}
    time.sleep(3)
    check(before == {p["metadata"]["uid"] for p in c.ready_pods(NS, "app=web")}, "nothing moves while paused")
    c.kubectl("rollout", "resume", "deployment/web", "-n", NS)
    c.kubectl("rollout", "status", "deployment/web", "-n", NS, "--timeout=90s")
    for p in c.ready_pods(NS, "app=web"):
        check({"name": "PAUSED", "value": "1"} in p["spec"]["containers"][0]["env"], "what was set while paused arrived")
    c.kubectl("rollout", "restart", "deployment/web", "-n", NS)
    c.kubectl("rollout", "status", "deployment/web", "-n", NS, "--timeout=90s")


def test_scale_up_and_to_zero(c):
    c.apply(deployment("many", NS, replicas=1, readiness=False))
    c.wait_ready(NS, "app=many", 1)
    c.kubectl("scale", "deployment/many", "-n", NS, "--replicas=20")
    c.wait_ready(NS, "app=many", 20, seconds=60)
    c.kubectl("scale", "deployment/many", "-n", NS, "--replicas=0")
    wait_until("all gone", 60, lambda: not c.pods(NS, "app=many"))
    c.kubectl("delete", "namespace", NS, "--timeout=90s")
