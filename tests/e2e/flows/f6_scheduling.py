"""Flow 6: a pod that fits nowhere says why, and is scheduled when room appears."""
from cluster import NODE, check, wait_until
from flows.manifests import namespace, pod

NS = "sched"
HUGE = """  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"], resources: {requests: {memory: 900Gi}}}
"""


def test_insufficient_memory_is_said(c):
    c.apply(namespace(NS) + "---" + pod("huge", NS, HUGE))

    def message():
        events = c.get("events", "-n", NS, "--field-selector", "reason=FailedScheduling")["items"]
        return next((e["message"] for e in events if e["involvedObject"]["name"] == "huge"), None)
    text = wait_until("a FailedScheduling event", 10, message)
    check(text.startswith("0/1 nodes are available: 1 Insufficient memory."), text)
    phase = c.get("pod", "huge", "-n", NS)["status"]
    check(phase["phase"] == "Pending", "it stays Pending")
    check(any(x["type"] == "PodScheduled" and x["reason"] == "Unschedulable" for x in phase["conditions"]), "with a condition")


def test_cordon_and_uncordon(c):
    c.kubectl("cordon", NODE)
    c.kubectl("run", "later", "-n", NS, "--image=coxswain/e2e:1", "--command", "--", "/bin/sleep", "1000")
    wait_until("FailedScheduling", 10, lambda: "unschedulable" in c.kubectl("get", "events", "-n", NS))
    c.kubectl("uncordon", NODE)
    c.wait_ready(NS, "run=later", 1, seconds=15)


def test_taint_holds_pods_off(c):
    c.kubectl("taint", "node", NODE, "dedicated=x:NoSchedule")
    c.kubectl("run", "tainted", "-n", NS, "--image=coxswain/e2e:1", "--command", "--", "/bin/sleep", "1000")
    wait_until("FailedScheduling", 10, lambda: "untolerated taint" in c.kubectl("get", "events", "-n", NS))
    c.kubectl("taint", "node", NODE, "dedicated:NoSchedule-")
    c.wait_ready(NS, "run=tainted", 1, seconds=15)
    c.kubectl("delete", "namespace", NS, "--wait=false")
