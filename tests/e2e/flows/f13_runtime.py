"""Flow 13: what a container may do and have: security context, resources, host network and ports, names, logs, pulls."""
import subprocess

from cluster import NODE, NODE_IP, check, wait_until
from flows.manifests import namespace, pod

NS = "runtime"
SLEEP = '[/bin/sleep, "1000"]'


def one(name, container="", spec="", command=SLEEP):
    return pod(name, NS, f"""  terminationGracePeriodSeconds: 1
{spec}
  containers:
  - name: c
    image: coxswain/e2e:1
    command: {command}
{container}
""")


def get(c, name):
    return c.get("pod", name, "-n", NS)


def status(c, name):
    return get(c, name)["status"]["containerStatuses"][0]


def inspect(c, name, template):
    return c.docker("inspect", "-f", template, status(c, name)["containerID"].split("//")[1])


def sh(c, name, script):
    return c.pod_exec(get(c, name), "/bin/sh", "-c", script)


def test_security_context(c):
    c.apply(namespace(NS) + "---" + one("user", """    securityContext:
      runAsUser: 1000
      runAsGroup: 3000
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
    volumeMounts: [{name: t, mountPath: /tmp}]""", """  securityContext: {supplementalGroups: [4000], fsGroup: 5000}
  volumes: [{name: t, emptyDir: {}}]""")
            + "---" + one("root", "    securityContext: {runAsNonRoot: true}")
            + "---" + one("priv", "    securityContext: {privileged: true}"))
    c.wait_ready(NS, "app=user", 1)
    check(sh(c, "user", "id -u; id -g; id -G").split()[:2] == ["1000", "3000"], "user and group")
    check({"4000", "5000"} <= set(sh(c, "user", "id -G").split()), "supplemental groups")
    check(sh(c, "user", "touch /x 2>/dev/null || echo no; touch /tmp/x && echo yes") == "no\nyes", "read-only root")
    check(sh(c, "user", "grep NoNewPrivs /proc/1/status").split()[1] == "1", "no new privileges")
    check(sh(c, "user", "grep CapBnd /proc/1/status").split()[1] == "0000000000000400", "capabilities")
    wait_until("a root image is refused", 20,
               lambda: status(c, "root")["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    check("runAsNonRoot" in status(c, "root")["state"]["waiting"]["message"], "with the reason")
    # Whether it may then start is the machine's business; some grant their own root less than all.
    wait_until("privileged", 20, lambda: privileged(c) == "true")


def privileged(c):
    now = status(c, "priv")
    identifier = now.get("containerID") or now["lastState"]["terminated"]["containerID"]
    return c.docker("inspect", "-f", "{{.HostConfig.Privileged}}", identifier.split("//")[1])


def lowest_oom_score():
    """The kubelet cannot ask for less than the machine lets it."""
    tried = subprocess.run(["sh", "-c", "echo -997 > /proc/self/oom_score_adj"], capture_output=True)
    return -997 if tried.returncode == 0 else 0


def test_resources_and_qos(c):
    c.apply(one("guaranteed", "    resources: {limits: {cpu: 500m, memory: 64Mi}}")
            + "---" + one("burstable", "    resources: {requests: {cpu: 250m, memory: 32Mi}}")
            + "---" + one("besteffort")
            + "---" + one("hog", "    resources: {limits: {memory: 16Mi}}", "",
                          '[/bin/sh, -c, "x=a; while true; do x=$x$x; done"]'))
    for name in ("guaranteed", "burstable", "besteffort"):
        c.wait_ready(NS, f"app={name}", 1)
    check(inspect(c, "guaranteed", "{{.HostConfig.CpuShares}} {{.HostConfig.CpuQuota}} {{.HostConfig.Memory}}") ==
          f"512 50000 {64 << 20}", "limits")
    check(inspect(c, "burstable", "{{.HostConfig.CpuShares}} {{.HostConfig.Memory}}") == "256 0", "requests")
    check([get(c, n)["status"]["qosClass"] for n in ("guaranteed", "burstable", "besteffort")] ==
          ["Guaranteed", "Burstable", "BestEffort"], "QoS classes")
    check(inspect(c, "guaranteed", "{{.HostConfig.OomScoreAdj}}") == str(lowest_oom_score()),
          "guaranteed OOM score")
    check(inspect(c, "besteffort", "{{.HostConfig.OomScoreAdj}}") == "1000", "best effort OOM score")
    check(2 <= int(inspect(c, "burstable", "{{.HostConfig.OomScoreAdj}}")) < 1000, "burstable OOM score")

    def killed():
        # The engine may hear of the end before it hears of the reason, and then never tells it: another life will.
        ends = [state.get("terminated", {}) for state in (status(c, "hog")["state"], status(c, "hog").get("lastState", {}))]
        return next((end for end in ends if end.get("reason") == "OOMKilled"), None)
    over = wait_until("the hog is killed", 60, killed)
    check(over["exitCode"] == 137, f"OOMKilled: {over}")


def test_names_and_addresses(c):
    c.apply(one("named", "", """  hostname: alpha
  subdomain: team
  hostAliases: [{ip: 192.0.2.77, hostnames: [printer, printer.local]}]
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.53], searches: [example.org], options: [{name: ndots, value: "2"}]}""")
            + "---" + one("hostnet", "    ports: [{containerPort: 18080}]", "  hostNetwork: true")
            + "---" + one("hostport", "    ports: [{containerPort: 8080, hostPort: 18081}]", "", "[/app/web]"))
    c.wait_ready(NS, "app=named", 1)
    check(sh(c, "named", "hostname; hostname -f") == f"alpha\nalpha.team.{NS}.svc.cluster.local", "host name")
    check("192.0.2.77\tprinter\tprinter.local" in sh(c, "named", "cat /etc/hosts"), "host aliases")
    resolv = sh(c, "named", "cat /etc/resolv.conf").splitlines()
    check(sorted(resolv) == ["nameserver 192.0.2.53", "options ndots:2", "search example.org"], f"resolv.conf: {resolv}")
    p = c.wait_ready(NS, "app=hostnet", 1)[0]
    check(p["status"]["podIP"] == NODE_IP and sh(c, "hostnet", "hostname") == NODE, "the node's network and name")
    c.wait_ready(NS, "app=hostport", 1)
    wait_until("the host port answers", 10, lambda: "name=" in c.curl(f"http://{NODE_IP}:18081/cgi-bin/who"))


def test_sidecars_and_deadline(c):
    c.apply(pod("side", NS, """  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: sidecar, image: "coxswain/e2e:1", restartPolicy: Always, command: [/bin/sh, -c, "echo up > /s/up; sleep 1000"], volumeMounts: [{name: s, mountPath: /s}]}
  - {name: after, image: "coxswain/e2e:1", command: [/bin/sh, -c, "until [ -e /s/up ]; do sleep 0.1; done"], volumeMounts: [{name: s, mountPath: /s}]}
  containers:
  - {name: main, image: "coxswain/e2e:1", command: [/bin/cat, /s/up], volumeMounts: [{name: s, mountPath: /s}]}
  volumes: [{name: s, emptyDir: {}}]
""") + "---" + one("deadline", "", "  activeDeadlineSeconds: 3"))
    wait_until("the pod ends when its main container does", 30, lambda: get(c, "side")["status"]["phase"] == "Succeeded")
    wait_until("a pod past its deadline fails", 20, lambda: get(c, "deadline")["status"]["phase"] == "Failed")
    check(get(c, "deadline")["status"]["reason"] == "DeadlineExceeded", "with the reason")


def test_termination_messages(c):
    c.apply(one("message", "", "  restartPolicy: Never", '[/bin/sh, -c, "echo -n last words > /dev/termination-log; exit 7"]')
            + "---" + one("fallback", "    terminationMessagePolicy: FallbackToLogsOnError", "  restartPolicy: Never",
                          '[/bin/sh, -c, "echo from the log; exit 8"]'))
    for name, code, message in (("message", 7, "last words"), ("fallback", 8, "from the log\n")):
        wait_until(f"{name} ends", 20, lambda: get(c, name)["status"]["phase"] == "Failed")
        over = status(c, name)["state"]["terminated"]
        check((over["exitCode"], over["message"], over["reason"]) == (code, message, "Error"), f"{name}: {over}")


def test_logs(c):
    script = '[/bin/sh, -c, "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; echo oops >&2; exit 1"]'
    c.apply(one("logs", "", "", script))
    followed = subprocess.run([c.kubectl_binary, "logs", "-f", "logs", "-n", NS, "--pod-running-timeout=20s"],
                              capture_output=True, text=True, env=c.environment(), timeout=30)
    if "line 5" not in followed.stdout:  # asked before the container was there
        wait_until("a log", 10, lambda: c.kubectl("logs", "logs", "-n", NS))
    wait_until("it was restarted", 20, lambda: status(c, "logs")["restartCount"] >= 1)
    before = wait_until("the previous log", 10, lambda: c.kubectl("logs", "logs", "-n", NS, "-p"))
    check("line 5" in before and "oops" in before, "standard output and error of the run before")
    check(c.kubectl("logs", "logs", "-n", NS, "-p", "--tail=2").count("\n") == 2, "--tail")
    stamped = c.kubectl("logs", "logs", "-n", NS, "-p", "--timestamps").splitlines()[0]
    check(stamped[:2] == "20" and stamped.split(" ", 1)[1].startswith("line"), f"--timestamps: {stamped}")
    check(len(c.kubectl("logs", "logs", "-n", NS, "-p", "--limit-bytes=9")) == 9, "--limit-bytes")
    refused = c.kubectl("logs", "logs", "-n", NS, "-c", "nope", ok=False)
    check("container nope is not valid for pod logs" in refused.stderr, f"an unknown container: {refused.stderr}")
    c.apply(one("unscheduled", "", "  nodeSelector: {no: where}"))
    refused = c.kubectl("logs", "unscheduled", "-n", NS, ok=False)
    check(refused.stdout == "", "no log without a node")


def test_health_and_metrics_of_the_node(c):
    for name, port in (("kubelet", 10248), ("kube-proxy", 10256)):
        check(c.curl(f"http://127.0.0.1:{port}/healthz") == "ok", f"{name} is healthy")
        check("process_resident_memory_bytes " in c.curl(f"http://127.0.0.1:{port}/metrics"), f"{name} tells of itself")


def test_images(c):
    c.docker("tag", "coxswain/e2e:1", "coxswain/never:1")
    c.docker("rmi", "coxswain/never:1")
    c.apply(pod("never", NS, """  containers: [{name: c, image: "coxswain/never:1", imagePullPolicy: Never}]
""") + "---" + pod("badname", NS, """  containers: [{name: c, image: "No Such:Image"}]
"""))
    for name, reason in (("never", "ErrImageNeverPull"), ("badname", "InvalidImageName")):
        wait_until(f"{name}: {reason}", 20, lambda: status(c, name)["state"]["waiting"]["reason"] == reason)
    c.kubectl("delete", "namespace", NS, "--wait=false")
