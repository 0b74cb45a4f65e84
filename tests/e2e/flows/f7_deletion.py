"""Flow 7: namespaces, owners, finalizers, graceful termination."""
import time

from cluster import check, wait_until
from flows.manifests import deployment, namespace, pod, service

NS = "gone"


def exists(c, *arguments):
    return c.kubectl("get", *arguments, ok=False).returncode == 0


def test_namespace_takes_everything(c):
    c.apply("---".join([namespace(NS), deployment("web", NS, replicas=2), service("web", NS)]))
    c.kubectl("create", "configmap", "cm", "-n", NS)
    c.kubectl("create", "secret", "generic", "sec", "-n", NS)
    pods = c.wait_ready(NS, "app=web", 2)
    uids = {p["metadata"]["uid"] for p in pods}

    def containers():
        lines = c.docker("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Labels}}").splitlines()
        return [line for line in lines if any(uid in line for uid in uids)]
    check(len(containers()) == 4, f"two pods, a sandbox and a container each: {containers()}")
    kinds = [k for k in c.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split() if k]
    counted = {kind: len(c.get(kind, "-n", NS)["items"]) for kind in kinds}
    check(sum(1 for n in counted.values() if n) >= 8, f"many kinds are in it: {counted}")
    c.kubectl("delete", "namespace", NS, "--timeout=90s")
    check(not exists(c, "namespace", NS), "the namespace is gone")
    left = {kind: len(c.get(kind, "-n", NS)["items"]) for kind in kinds}
    check(not any(left.values()), f"and everything that was in it: {left}")
    check(not containers(), f"its containers are gone, stopped ones and sandboxes too: {containers()}")


def test_cascades(c):
    for cascade, survives in (("background", False), ("foreground", False), ("orphan", True)):
        name = f"own-{cascade}"
        c.apply(deployment(name, "default", replicas=1, readiness=False))
        rs = wait_until("a replica set", 10, lambda: c.get("rs", "-l", f"app={name}")["items"])[0]["metadata"]["name"]
        c.kubectl("delete", "deployment", name, f"--cascade={cascade}")
        if survives:
            time.sleep(1)
            check(exists(c, "rs", rs), "an orphan stays")
            c.kubectl("delete", "rs", rs)
        wait_until(f"{cascade}: the replica set goes", 30, lambda: not exists(c, "rs", rs))
        wait_until(f"{cascade}: the pods go", 30, lambda: not c.pods("default", f"app={name}"))


def test_finalizer_holds_deletion(c):
    c.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n")
    c.kubectl("delete", "configmap", "held", "--wait=false")
    check("deletionTimestamp" in c.get("configmap", "held")["metadata"], "marked, not gone")
    c.kubectl("patch", "configmap", "held", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    check(not exists(c, "configmap", "held"), "gone once the finalizer is")


def test_graceful_termination(c):
    script = "trap 'echo got-term; sleep 1; echo done; exit 0' TERM; while true; do sleep 1 & wait $!; done"
    c.apply(pod("polite", "default", f"""  terminationGracePeriodSeconds: 20
  containers:
  - name: c
    image: coxswain/e2e:1
    command: [/bin/sh, -c, "{script}"]
    lifecycle: {{preStop: {{exec: {{command: [/bin/sh, -c, "echo pre-stop > /proc/1/fd/1"]}}}}}}
"""))
    p = c.wait_ready("default", "app=polite", 1)[0]
    container = p["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    import subprocess
    logs = subprocess.Popen(["docker", "-H", f"unix://{c.socket}", "logs", "-f", container], stdout=subprocess.PIPE, text=True)
    started = time.monotonic()
    c.kubectl("delete", "pod", "polite")
    took = time.monotonic() - started
    text = logs.communicate(timeout=10)[0]
    said = [word for word in text.split() if word in ("pre-stop", "got-term", "done")]
    check(said == ["pre-stop", "got-term", "done"], f"preStop, then SIGTERM, then its own end: {text!r}")
    check(took < 15, f"it did not wait for the whole grace period: {took:.1f} s")


def test_kill_after_grace(c):
    c.apply(pod("stubborn", "default", """  terminationGracePeriodSeconds: 2
  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sh, -c, "trap '' TERM; while true; do sleep 1; done"]}
"""))
    c.wait_ready("default", "app=stubborn", 1)
    started = time.monotonic()
    c.kubectl("delete", "pod", "stubborn")
    took = time.monotonic() - started
    check(1.5 < took < 12, f"SIGKILL after the grace period of 2 s: {took:.1f} s")
