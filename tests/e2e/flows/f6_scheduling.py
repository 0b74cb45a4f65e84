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
    check(text == "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: "
                  "1 Preemption is not helpful for scheduling.", text)
    phase = c.get("pod", "huge", "-n", NS)["status"]
    check(phase["phase"] == "Pending", "it stays Pending")
    check(any(x["type"] == "PodScheduled" and x["reason"] == "Unschedulable" for x in phase["conditions"]), "with a condition")


def test_room_appears(c):
    """A pod that waits for room is scheduled as soon as another one leaves."""
    c.kubectl("delete", "pod", "huge", "-n", NS, "--force", "--grace-period=0")
    cpus = int(c.get("node", NODE)["status"]["allocatable"]["cpu"])
    half = f"""  terminationGracePeriodSeconds: 0
  containers:
  - {{name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"], resources: {{requests: {{cpu: "{cpus * 600}m"}}}}}}
"""
    c.apply(pod("first", NS, half))
    c.wait_ready(NS, "app=first", 1)
    c.apply(pod("second", NS, half))
    wait_until("it says what is missing", 10, lambda: "1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No "
               "preemption victims found for incoming pod." in c.kubectl("get", "events", "-n", NS))
    c.kubectl("delete", "pod", "first", "-n", NS)
    c.wait_ready(NS, "app=second", 1, seconds=10)
    c.kubectl("delete", "pod", "second", "-n", NS)


def test_scheduling_gates(c):
    c.apply(pod("gated", NS, """  schedulingGates: [{name: example.com/wait}]
  containers: [{name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"]}]
"""))
    wait_until("kubectl shows it", 5, lambda: "SchedulingGated" in c.kubectl("get", "pod", "gated", "-n", NS))
    check("nodeName" not in c.get("pod", "gated", "-n", NS)["spec"], "a gated pod has no node")
    c.kubectl("patch", "pod", "gated", "-n", NS, "--type=json", "-p", '[{"op":"remove","path":"/spec/schedulingGates"}]')
    c.wait_ready(NS, "app=gated", 1, seconds=10)


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
