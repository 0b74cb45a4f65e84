#!/usr/bin/env python3
"""What the other daemons say when they are started wrongly, and how they wait for what is not there yet."""
import re

from server import *

DAEMONS = ("scheduler", "controller-manager", "kubelet", "kube-proxy")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kubeconfig(s, daemon):
    return next(p for p in (s.data / "kubeconfig").iterdir() if p.stem.split("-")[0] == daemon.split("-")[0]
                and (p.stem == daemon or daemon == "kubelet"))


def arguments(s, daemon, *flags, config=None, port=None, health=None):
    out = [pathlib.Path(s.binary).parent / daemon, "--kubeconfig", config or kubeconfig(s, daemon),
           "--healthz-bind-address", f"127.0.0.1:{health or free_port()}"]
    if daemon in ("kubelet", "kube-proxy"):
        out += ["--node-name", "here"]
    if daemon == "kubelet":
        node = kubeconfig(s, daemon).stem
        out += ["--root-dir", s.home / "kubelet", "--docker-socket", s.home / "no.sock", "--node-ip", "127.0.0.1",
                "--port", port or free_port(), "--tls-cert-file", s.data / f"pki/{node}.crt",
                "--tls-private-key-file", s.data / f"pki/{node}.key", "--client-ca-file", s.data / "pki/ca.crt"]
    return [str(a) for a in [*out, *flags]]


def run(s, daemon, *flags, **more):
    done = subprocess.run(arguments(s, daemon, *flags, **more), capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr.strip().splitlines()


def refused(got, *words):
    code, lines = got
    check(code != 0 and len(lines) == 1, f"one line and an exit code: {code} {lines}")
    for word in words:
        check(word in lines[0], f"{word!r} is said: {lines[0]}")


def test_election_timings(s):
    for daemon in ("scheduler", "controller-manager"):
        process = subprocess.Popen(arguments(s, daemon, "--leader-elect-lease-duration", "5s", "--leader-elect-renew-deadline", "3s",
                                             "--leader-elect-retry-period", "500ms"), stderr=subprocess.DEVNULL)
        try:
            path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-{daemon}"
            wait_until(f"the Lease of {daemon}", 30, lambda: s.call("GET", path).json()["spec"]["leaseDurationSeconds"] == 5)
        finally:
            process.terminate()
            equal(process.wait(20), 0, f"{daemon} stops when asked to")


def test_wrong_starts(s):
    broken = s.home / "broken.conf"
    broken.write_text("a: [")
    for daemon in DAEMONS:
        refused(run(s, daemon, config=s.home / "none.conf"), "none.conf")
        refused(run(s, daemon, config=broken), "broken.conf")
        help_text = subprocess.run(arguments(s, daemon, "--help"), capture_output=True, text=True, timeout=20)
        check(help_text.returncode == 0 and "--kubeconfig" in help_text.stdout, f"{daemon} --help")
    for daemon in ("scheduler", "controller-manager"):
        refused(run(s, daemon, "--leader-elect-renew-deadline", "9s"), "--leader-elect-renew-deadline", "shorter")
        refused(run(s, daemon, "--leader-elect-retry-period", "soon"), "--leader-elect-retry-period", "soon")
    with socket.socket() as busy:
        busy.bind(("0.0.0.0", 0))
        busy.listen()
        refused(run(s, "kubelet", port=busy.getsockname()[1]), str(busy.getsockname()[1]), "in use")
        for daemon in DAEMONS:
            refused(run(s, daemon, health=busy.getsockname()[1]), str(busy.getsockname()[1]), "in use")


@starts_itself
def test_defaults_of_flags(s):
    for daemon, flag, default in (("api-server", "--history-retention-seconds", "300"),
                                  ("api-server", "--event-ttl-seconds", "3600"),
                                  ("controller-manager", "--node-monitor-grace-period", "50s"),
                                  ("controller-manager", "--node-monitor-period", "5s"),
                                  ("controller-manager", "--leader-elect-lease-duration", "10s"),
                                  ("scheduler", "--leader-elect-lease-duration", "10s"),
                                  ("scheduler", "--leader-elect-renew-deadline", "6s"),
                                  ("scheduler", "--leader-elect-retry-period", "1500ms")):
        binary = pathlib.Path(s.binary).parent / daemon
        shown = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=20)
        line = next(l for l in shown.stdout.splitlines() if l.split()[:1] == [flag])
        check(re.search(rf"\b{default}\b", line), f"{daemon} {flag} is {default} unless it is set: {line}")


def test_kubelet_without_docker_waits_and_says_so(s):
    log = open(s.home / "kubelet.log", "wb")
    kubelet = subprocess.Popen(arguments(s, "kubelet"), stderr=log)
    try:
        def ready_condition():
            answer = s.call("GET", "/api/v1/nodes/here")
            conditions = answer.json()["status"].get("conditions", []) if answer.status == 200 else []
            return next((c for c in conditions if c["type"] == "Ready"), None)

        condition = wait_until("a node", 20, ready_condition)
        equal(condition["status"], "False", "its readiness")
        check("no.sock" in condition["message"] and "start dockerd" in condition["message"], f"why: {condition['message']}")
        said = (s.home / "kubelet.log").read_text()
        check("no.sock" in said and "--docker-socket" in said and "trying again" in said, f"the log says what to do: {said}")
        equal(kubelet.poll(), None, "it goes on trying")
    finally:
        kubelet.terminate()
        equal(kubelet.wait(20), 0, "and stops when asked to")


def test_daemons_wait_for_the_server(s):
    for daemon in ("scheduler", "controller-manager"):
        s.stop(signal.SIGKILL)
        process = subprocess.Popen(arguments(s, daemon), stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            equal(process.poll(), None, f"{daemon} waits for its server")
            s.start()
            lease = {"scheduler": "kube-scheduler", "controller-manager": "kube-controller-manager"}[daemon]
            wait_until(f"{daemon} leads", 30, lambda: s.call(
                "GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}").status == 200)
        finally:
            process.terminate()
            equal(process.wait(20), 0, f"{daemon} stops when asked to")


def test_health_and_metrics(s):
    for daemon in ("scheduler", "controller-manager"):
        command = arguments(s, daemon)
        address = command[command.index("--healthz-bind-address") + 1]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

        def ask(path):
            connection = http.client.HTTPConnection(address, timeout=5)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read().decode()
            except OSError:
                return 0, ""
            finally:
                connection.close()
        try:
            wait_until(f"{daemon} is healthy", 20, lambda: ask("/healthz") == (200, "ok"))
            wait_until(f"{daemon} says that it leads", 20, lambda: re.search(r"^leader_election_master_status.* 1$", ask("/metrics")[1], re.M))
            check("process_resident_memory_bytes" in ask("/metrics")[1], f"{daemon}: {ask('/metrics')[1]}")
            equal(ask("/secret")[0], 404, "and nothing else is there")
        finally:
            process.terminate()
            equal(process.wait(20), 0, f"{daemon} stops when asked to")


if __name__ == "__main__":
    main(globals())
