"""Flow 11: startup, liveness and readiness probes by exec, HTTP and TCP; lifecycle hooks."""
import time

from cluster import check, is_ready, wait_until
from flows.manifests import namespace, pod

NS = "probes"
SLEEP = '[/bin/sh, -c, "trap \'exit 0\' TERM; while true; do sleep 0.2 & wait $!; done"]'


def get(c, name):
    return c.get("pod", name, "-n", NS)


def status(c, name):
    return get(c, name)["status"]["containerStatuses"][0]


def events(c, name, reason):
    found = c.get("events", "-n", NS, "--field-selector", f"involvedObject.name={name},reason={reason}")["items"]
    return [event["message"] for event in found]


def container(name, probes, command=SLEEP):
    return pod(name, NS, f"""  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: coxswain/e2e:1
    command: {command}
{probes}
""")


def test_exec_liveness_restarts(c):
    c.apply(namespace(NS) + "---" + container("live", """    livenessProbe:
      exec: {command: [/bin/sh, -c, "test ! -e /tmp/dead"]}
      periodSeconds: 1
      failureThreshold: 2"""))
    c.wait_ready(NS, "app=live", 1)
    c.pod_exec(get(c, "live"), "/bin/touch", "/tmp/dead")
    wait_until("the container is restarted", 20, lambda: status(c, "live")["restartCount"] == 1)
    check(any("Liveness probe failed" in m for m in events(c, "live", "Unhealthy")), "an Unhealthy event")
    check(any("failed liveness probe, will be restarted" in m for m in events(c, "live", "Killing")), "a Killing event")
    wait_until("it is ready again", 10, lambda: is_ready(get(c, "live")))


def test_readiness_by_tcp_and_http(c):
    c.apply(container("tcp", """    readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1, failureThreshold: 1}""",
                      '[/bin/sh, -c, "while [ ! -e /tmp/go ]; do sleep 0.2; done; exec nc -ll -p 7000 -e /bin/hostname"]')
            + "---" + container("http", """    ports: [{name: web, containerPort: 8080}]
    readinessProbe: {httpGet: {port: web, path: /cgi-bin/healthz}, periodSeconds: 1, successThreshold: 2}""", "[/app/web]"))
    wait_until("the HTTP pod is ready", 20, lambda: is_ready(get(c, "http")))
    check(not is_ready(get(c, "tcp")), "nobody listens: not ready")
    check(status(c, "tcp")["started"] is True and status(c, "tcp")["restartCount"] == 0, "but running")
    c.pod_exec(get(c, "tcp"), "/bin/touch", "/tmp/go")
    wait_until("the TCP pod is ready", 10, lambda: is_ready(get(c, "tcp")))


def test_startup_probe_holds_the_others(c):
    c.apply(container("slow", """    startupProbe: {exec: {command: [/bin/test, -e, /tmp/started]}, periodSeconds: 1, failureThreshold: 60}
    livenessProbe: {exec: {command: [/bin/test, -e, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1}""")
            + "---" + container("never", """    startupProbe: {exec: {command: [/bin/false]}, periodSeconds: 1, failureThreshold: 2}"""))
    wait_until("it runs", 20, lambda: "running" in status(c, "slow")["state"])
    time.sleep(3)
    now = status(c, "slow")
    check(now["restartCount"] == 0 and now["started"] is False and not now["ready"], "liveness waits for startup")
    c.pod_exec(get(c, "slow"), "/bin/touch", "/tmp/alive", "/tmp/started")
    wait_until("it is started and ready", 10, lambda: status(c, "slow")["started"] and is_ready(get(c, "slow")))
    wait_until("a container that never starts is restarted", 20, lambda: status(c, "never")["restartCount"] >= 1)
    check(any("Startup probe failed" in m for m in events(c, "never", "Unhealthy")), "and the event says why")


def test_post_start(c):
    c.apply(container("post", """    lifecycle: {postStart: {exec: {command: [/bin/sh, -c, "echo yes > /tmp/post"]}}}""")
            + "---" + container("badpost", """    lifecycle: {postStart: {exec: {command: [/bin/sh, -c, "exit 3"]}}}"""))
    c.wait_ready(NS, "app=post", 1)
    check(c.pod_exec(get(c, "post"), "/bin/cat", "/tmp/post") == "yes", "the hook ran")
    wait_until("a failed hook is said", 20, lambda: events(c, "badpost", "FailedPostStartHook"))
    wait_until("and its container is killed", 20, lambda: status(c, "badpost")["restartCount"] >= 1)
    c.kubectl("delete", "namespace", NS, "--wait=false")
