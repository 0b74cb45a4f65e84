"""coxctl: the same answers as kubectl for what it does."""
import subprocess

from cluster import check
from flows.manifests import deployment, namespace, service

NS = "cox"


def coxctl(c, *arguments, ok=True, stdin=None):
    done = subprocess.run([str(c.bin / "coxctl"), *arguments], capture_output=True, text=True, env=c.environment(), input=stdin, timeout=120)
    if ok:
        check(done.returncode == 0, f"coxctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout
    return done


def test_apply_is_idempotent_and_merges(c):
    text = namespace(NS) + "---" + deployment("web", NS, replicas=1) + "---" + service("web", NS, kind="NodePort")
    check(coxctl(c, "apply", "-f", "-", stdin=text).count("created") == 3, "created")
    port = c.get("service", "web", "-n", NS)["spec"]["ports"][0]["nodePort"]
    check(coxctl(c, "apply", "-f", "-", stdin=text).count("unchanged") == 3, "unchanged")
    changed = coxctl(c, "apply", "-f", "-", stdin=text.replace("replicas: 1", "replicas: 2"))
    check(changed.count("configured") == 1, changed)
    check(c.get("service", "web", "-n", NS)["spec"]["ports"][0]["nodePort"] == port, "the node port stays")
    c.wait_ready(NS, "app=web", 2)


def test_tables_equal_kubectls(c):
    for target in (["pods", "-n", NS, "--no-headers"], ["services", "-n", NS], ["nodes", "-o", "wide"]):
        ours = [line.split()[0] for line in coxctl(c, "get", *target).splitlines()]
        theirs = [line.split()[0] for line in c.kubectl("get", *target).splitlines()]
        check(ours == theirs, f"{target}: {ours} != {theirs}")
    check(coxctl(c, "get", "deploy/web", "-n", NS, "-o", "jsonpath={.spec.replicas}") == "2", "jsonpath")
    missing = coxctl(c, "get", "pod", "nothing", "-n", NS, ok=False)
    check(missing.returncode != 0 and 'pods "nothing" not found' in missing.stderr, missing.stderr)


def test_describe_logs_scale_delete(c):
    pod = c.ready_pods(NS, "app=web")[0]["metadata"]["name"]
    check("Events:" in coxctl(c, "describe", "pod", pod, "-n", NS), "describe")
    check("starting " + pod in coxctl(c, "logs", pod, "-n", NS), "logs")
    check("scaled" in coxctl(c, "scale", "deployment/web", "-n", NS, "--replicas=1"), "scale")
    check("v1.36" in coxctl(c, "version"), "version")
    check("_coxctl" in coxctl(c, "completion", "bash"), "completion")
    coxctl(c, "delete", "namespace", NS)
    check(c.kubectl("get", "namespace", NS, ok=False).returncode != 0, "gone")
