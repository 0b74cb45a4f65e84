"""Flow 8: a node that stops reporting is Unknown after the grace period; its pods are evicted."""
import datetime
import json
import signal
import time

from cluster import NODE, check, wait_until
from flows.manifests import namespace, pod

NS = "nodes"
BODY = """  terminationGracePeriodSeconds: 1
  tolerations:
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 3}
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 3}
  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"]}
"""


def ready_status(c):
    return next(x["status"] for x in c.get("node", NODE)["status"]["conditions"] if x["type"] == "Ready")


OTHER = "other-node"


def beat(c):
    """One heartbeat of the other node: a Lease renewed is what says that a node lives."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    c.apply(f"""apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {{name: {OTHER}, namespace: kube-node-lease}}
spec: {{holderIdentity: {OTHER}, leaseDurationSeconds: 40, renewTime: "{now}"}}
""")


def taints(c, name=NODE):
    return {(t["key"], t["effect"]) for t in c.get("node", name)["spec"].get("taints", [])}


LOST = "node.kubernetes.io/unreachable"


def test_the_only_node_is_lost(c):
    """With no ready node left the trouble is more likely the cluster's: as in Kubernetes, nobody is evicted."""
    c.restart("controller-manager", "--node-monitor-grace-period", "15s")  # a heartbeat comes every 10 s
    c.apply(namespace(NS) + "---" + pod("evictme", NS, BODY))
    c.wait_ready(NS, "app=evictme", 1)
    c.kill("kubelet", signal.SIGKILL)
    wait_until("Ready is Unknown", 40, lambda: ready_status(c) == "Unknown")
    wait_until("it takes no more pods", 10, lambda: (LOST, "NoSchedule") in taints(c))
    time.sleep(5)  # longer than the toleration
    check((LOST, "NoExecute") not in taints(c), f"no NoExecute: {taints(c)}")
    check("deletionTimestamp" not in c.get("pod", "evictme", "-n", NS)["metadata"], "the pod stays")
    events = c.kubectl("get", "events", "-A")
    check("NodeNotReady" in events, f"the loss is told: {events[-1000:]}")
    check(not c.ready_pods(NS), "its pods are not ready: no Service routes to them")


def test_unreachable_node(c):
    """Beside a node that lives, the lost one's pods are evicted after their toleration."""
    c.apply(f"apiVersion: v1\nkind: Node\nmetadata: {{name: {OTHER}}}\nspec: {{unschedulable: true}}\n")
    beat(c)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": now,
             "lastTransitionTime": now}
    status, text = c.api("PATCH", f"/api/v1/nodes/{OTHER}/status", json.dumps({"status": {"conditions": [ready]}}),
                         "application/strategic-merge-patch+json")
    check(status == 200, text)

    def evicted():
        beat(c)
        return "deletionTimestamp" in c.get("pod", "evictme", "-n", NS)["metadata"]
    wait_until("the pod is evicted", 30, evicted, interval=1)
    check((LOST, "NoExecute") in taints(c), f"by a NoExecute taint: {taints(c)}")
    conditions = c.get("pod", "evictme", "-n", NS)["status"]["conditions"]
    check(any(x["type"] == "DisruptionTarget" and x["reason"] == "DeletionByTaintManager" for x in conditions), str(conditions))
    check("TaintManagerEviction" in c.kubectl("get", "events", "-n", NS), "an event says so")


def test_node_comes_back(c):
    c.start_daemon("kubelet")
    wait_until("the node is ready", 60, c.node_ready)
    wait_until("taints go", 20, lambda: not taints(c))
    wait_until("the evicted pod is gone", 60, lambda: not c.pods(NS))
    c.restart("controller-manager")
    c.kubectl("delete", "namespace", NS, "--timeout=60s")
    c.kubectl("delete", "node", OTHER)
    c.kubectl("delete", "lease", OTHER, "-n", "kube-node-lease")
