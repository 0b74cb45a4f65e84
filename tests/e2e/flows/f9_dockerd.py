"""Flow 9: the Docker Engine goes away under running pods and comes back."""
import signal

from cluster import NODE, check, wait_until
from flows.manifests import deployment, namespace

NS = "engine"


def ready_condition(c):
    conditions = c.get("node", NODE)["status"]["conditions"]
    return next(x for x in conditions if x["type"] == "Ready")


def test_stopped_engine_is_said_and_pods_come_back(c):
    c.apply(namespace(NS) + "---" + deployment("web", NS, replicas=1))
    before = c.wait_ready(NS, "app=web", 1)[0]
    c.kill("dockerd", signal.SIGTERM)  # without live-restore its containers end with it
    lost = wait_until("the node is not ready", 45, lambda: next(
        (x for x in [ready_condition(c)] if x["status"] == "False"), None))
    check(lost["reason"] == "KubeletNotReady", f"the reason: {lost}")
    check("start dockerd" in lost["message"] or "container runtime" in lost["message"], f"what to do: {lost}")
    c.start_docker()
    wait_until("the node is ready again", 45, lambda: ready_condition(c)["status"] == "True")

    def restarted():
        pods = c.ready_pods(NS, "app=web")
        return pods[0] if pods and pods[0]["status"]["containerStatuses"][0]["restartCount"] >= 1 else None
    after = wait_until("the pod is ready again", 30, restarted)
    check(after["metadata"]["uid"] == before["metadata"]["uid"], "the same pod")
    # The Engine answers while it stops its containers one by one: the kubelet may bring some back meanwhile.
    restarts = after["status"]["containerStatuses"][0]["restartCount"]
    check(restarts <= 3, f"a few restarts, not {restarts}")
    running = c.docker("ps", "-q", "--filter", f"label=io.coxswain.pod-uid={after['metadata']['uid']}").split()
    check(len(running) == 2, f"one sandbox and one container, not {len(running)}")
