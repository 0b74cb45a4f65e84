"""Flow 8: a node that stops reporting is Unknown after the grace period; its pods are evicted."""
import signal

from cluster import NODE, check, wait_until
from flows.manifests import namespace, pod

NS = "nodes"
BODY = """  tolerations:
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 3}
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 3}
  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"]}
"""


def ready_status(c):
    return next(x["status"] for x in c.get("node", NODE)["status"]["conditions"] if x["type"] == "Ready")


def test_unreachable_node(c):
    c.kill("controller-manager", signal.SIGTERM)
    c.extra["controller-manager"] = ["--node-monitor-grace-period", "8s"]
    c.start_daemon("controller-manager")
    c.apply(namespace(NS) + "---" + pod("evictme", NS, BODY))
    c.wait_ready(NS, "app=evictme", 1)
    c.kill("kubelet", signal.SIGKILL)
    wait_until("Ready is Unknown", 40, lambda: ready_status(c) == "Unknown")
    taints = wait_until("taints", 10, lambda: c.get("node", NODE)["spec"].get("taints"))
    check(any(t["key"] == "node.kubernetes.io/unreachable" and t["effect"] == "NoExecute" for t in taints), str(taints))
    wait_until("the pod is evicted", 20, lambda: "deletionTimestamp" in c.get("pod", "evictme", "-n", NS)["metadata"])


def test_node_comes_back(c):
    c.start_daemon("kubelet")
    wait_until("the node is ready", 60, c.node_ready)
    wait_until("taints go", 20, lambda: not c.get("node", NODE)["spec"].get("taints"))
    wait_until("the evicted pod is gone", 60, lambda: not c.pods(NS))
    c.kubectl("delete", "namespace", NS, "--timeout=60s")
