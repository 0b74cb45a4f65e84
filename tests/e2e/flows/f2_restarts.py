"""Flow 2: containers that die come back, pods that are deleted are replaced."""
import datetime

from cluster import check, wait_until
from flows.manifests import deployment, namespace, pod

NS = "restarts"


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_killed_container_restarts(c):
    c.apply(namespace(NS) + "---" + deployment("web", NS, replicas=1))
    before = c.wait_ready(NS, "app=web", 1)[0]
    status = before["status"]["containerStatuses"][0]
    c.docker("kill", status["containerID"].split("//")[1])

    def restarted():
        now = c.pods(NS, "app=web")[0]
        s = now["status"]["containerStatuses"][0]
        return now if s["restartCount"] == 1 and s["ready"] else None
    after = wait_until("restarted and ready again", 20, restarted)
    check(after["metadata"]["uid"] == before["metadata"]["uid"], "the same pod")
    seconds = {t["key"]: t.get("tolerationSeconds") for t in before["spec"]["tolerations"]}
    check(seconds == {"node.kubernetes.io/not-ready": 300, "node.kubernetes.io/unreachable": 300},
          f"every pod tolerates a lost node for 300 s: {seconds}")
    check(after["status"]["podIP"] == before["status"]["podIP"], "the pod keeps its address")
    check(after["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137, "the last state is kept")


def test_deleted_pod_is_replaced(c):
    old = c.ready_pods(NS, "app=web")[0]["metadata"]["name"]
    c.kubectl("delete", "pod", old, "-n", NS)
    new = c.wait_ready(NS, "app=web", 1)[0]
    check(new["metadata"]["name"] != old, "a new pod")


def test_crash_loop_backs_off(c):
    c.apply(pod("crash", NS, """  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sh, -c, "echo bye; exit 3"]}
"""))

    def backing_off():
        s = c.get("pod", "crash", "-n", NS)["status"]["containerStatuses"][0]
        return s if s["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" else None
    status = wait_until("CrashLoopBackOff", 30, backing_off)
    check(status["lastState"]["terminated"]["exitCode"] == 3, "the exit code is shown")
    check("bye" in c.kubectl("logs", "crash", "-n", NS), "its log is readable")

    def started(count):
        """Docker's time of start of the run number `count`, once it has ended: while it runs, the last one is another."""
        s = c.get("pod", "crash", "-n", NS)["status"]["containerStatuses"][0]
        ended = s["restartCount"] == count and "waiting" in s["state"]
        return s["lastState"]["terminated"]["startedAt"] if ended else None
    times = [parse_time(wait_until(f"restart {n} after its back-off", 45, lambda n=n: started(n))) for n in (1, 2, 3)]
    waits = [b - a for a, b in zip(times, times[1:])]
    check(9 <= waits[0] <= 16 and 19 <= waits[1] <= 28, f"10 s, then 20 s between the starts: {waits}")
    check("bye" in c.kubectl("logs", "crash", "-n", NS, "-p"), "the previous log is readable")
    c.kubectl("delete", "pod", "crash", "-n", NS, "--force", "--grace-period=0")


def test_restart_policy_never(c):
    c.apply(pod("once", NS, """  restartPolicy: Never
  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sh, -c, "exit 0"]}
"""))
    wait_until("Succeeded", 20, lambda: c.get("pod", "once", "-n", NS)["status"]["phase"] == "Succeeded")
    c.kubectl("delete", "namespace", NS, "--wait=false")
