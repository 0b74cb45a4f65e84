#!/usr/bin/env python3
"""`./dev up`, `status`, `logs` and `down` as a newcomer uses them, on a machine of its own without any Docker.

usage: dev_up.py BUILD_DIR        exits 77 (skipped) without root or dockerd, and says so
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
from checks import Failure, check, wait_until  # noqa: E402

DAEMONS = ("api-server", "scheduler", "controller-manager", "kubelet", "kube-proxy")


class Front:
    """The front door: ./dev, with a home of its own."""

    def __init__(self, build_dir):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="coxswain-dev-")) / "home"
        self.environment = dict(os.environ, COXSWAIN_HOME=str(self.home), COXSWAIN_BUILD_DIR=build_dir)
        self.environment.pop("KUBECONFIG", None)
        self.build_dir = build_dir

    def run(self, *arguments, ok=True):
        done = subprocess.run([str(ROOT / "dev"), *arguments], capture_output=True, text=True, env=self.environment, timeout=900)
        if ok:
            check(done.returncode == 0, f"./dev {' '.join(arguments)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done

    def pids(self):
        return {name: (self.home / f"run/{name}.pid").read_text() for name in (*DAEMONS, "dockerd")}

    def containers(self, *filters):
        socket = self.home / "run/docker.sock"
        return subprocess.run(["docker", "-H", f"unix://{socket}", "ps", "-q", *filters], capture_output=True, text=True,
                              check=True).stdout.split()


def alive(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_up(front):
    out = front.run("up").stdout
    stages = re.findall(r"^\[(\d+)/(\d+)\] (\S.*?)  ", out, re.M)
    check([int(n) for n, _, _ in stages] == list(range(1, len(stages) + 1)) and len({of for _, of, _ in stages}) == 1,
          f"numbered stages: {stages}")
    for name in ("packages", "build", *DAEMONS, "example"):
        check(any(stage.startswith(name) for _, _, stage in stages), f"a stage {name}: {stages}")
    check(str(front.home / "kubeconfig/admin.conf") in out, "it says where the kubeconfig is")
    url = re.search(r"example +(http://\S+)", out).group(1)
    answer = subprocess.run(["curl", "-fsS", "--max-time", "5", url], capture_output=True, text=True, check=True).stdout
    check("served by" in answer, f"the example answers: {answer[:300]}")
    commands = re.findall(r"^  ((?:curl|kubectl) .*)$", out[out.index("Try:"):], re.M)
    check(len(commands) == 5, f"five commands to try: {commands}")
    kubectl = shutil.which("kubectl") or f"{front.build_dir}/bin/coxctl"
    for command in commands:
        words = command.split()
        words[0] = kubectl if words[0] == "kubectl" else words[0]
        # New pods have no log yet: a moment later they have.
        wait_until(command, 30, lambda words=words: run_words(front, words))


def run_words(front, words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60,
                          env=dict(front.environment, KUBECONFIG=str(front.home / "kubeconfig/admin.conf")))
    check(done.returncode == 0 and done.stdout, done.stderr)
    return True


def settled(front):
    """Two containers a pod: its own and its sandbox."""
    return 2 * len(front.run("kubectl", "get", "pods", "-A", "-o", "name").stdout.split())


def test_up_again_changes_nothing(front):
    ready = ["-n", "guestbook", "get", "deployment", "frontend", "-o", "jsonpath={.status.readyReplicas}"]
    wait_until("the scaled example", 60, lambda: front.run("kubectl", *ready).stdout == "5")
    wait_until("pods that were deleted are gone", 60, lambda: len(front.containers()) == settled(front))
    pids, containers = front.pids(), sorted(front.containers())
    front.run("up")
    check(front.pids() == pids, "the same processes")
    check(sorted(front.containers()) == containers, "the same containers")


def test_status_and_logs(front):
    out = front.run("status").stdout
    for name in DAEMONS:
        check(re.search(rf"^{name} +\d+ +ready +\d+ MiB", out, re.M), f"{name} in {out}")
    check("guestbook" in out and "Running" in out, f"pods: {out}")
    for name in (*DAEMONS, "dockerd"):
        check(front.run("logs", name).stdout, f"the log of {name}")
    wrong = front.run("logs", "nobody", ok=False)
    check(wrong.returncode != 0 and "api-server" in wrong.stderr, f"which daemons there are: {wrong.stderr}")
    check(front.run("kubectl", "get", "nodes").stdout.count("Ready") == 1, "./dev kubectl")


def test_killed_daemons_come_back(front):
    pids = front.pids()
    for name in ("kubelet", "api-server"):
        os.kill(int(pids[name]), 9)
    containers = sorted(front.containers())
    status = front.run("status", ok=False)
    check(status.returncode != 0 and "./dev up" in status.stdout + status.stderr, f"status says what to do: {status.stdout}")
    front.run("up")
    check(sorted(front.containers()) == containers, "no container was restarted")
    check(front.pids()["scheduler"] == pids["scheduler"], "what ran goes on")


def store_status(front):
    conf = str(front.home / "kubeconfig/admin.conf")
    return subprocess.run([f"{front.build_dir}/bin/coxctl", "--kubeconfig", conf, "store", "status"], capture_output=True, text=True).stdout


def test_one_api_server_becomes_three(front):
    servers = ("api-server", "api-server-2", "api-server-3")
    front.run("kubectl", "create", "configmap", "before", "--from-literal=a=b")
    out = front.run("up", "--api-servers", "3").stdout
    for name in servers:
        check(re.search(rf"^\[\d+/11\] {name} +ready", out, re.M), f"a stage {name}: {out}")
    check("before" in front.run("kubectl", "get", "configmaps", "-o", "name").stdout, "the data of before is there")
    for name in servers:
        os.kill(int((front.home / f"run/{name}.pid").read_text()), 9)
        for n in range(5):  # whoever lives answers, at the same address
            front.run("kubectl", "create", "configmap", f"{name}-{n}", "--from-literal=a=b")
        check(re.search(rf" {name} .* unreachable", store_status(front)), f"{name} is down: {store_status(front)}")
        front.run("up")
    maps = front.run("kubectl", "get", "configmaps", "-o", "name").stdout
    check(sum(f"{name}-{n}" in maps for name in servers for n in range(5)) == 15, f"nothing was lost: {maps}")
    status = store_status(front)
    check(status.count(" leader ") == 1 and status.count(" follower ") == 2, f"one leads, two follow: {status}")
    fewer = front.run("up", "--api-servers", "1", ok=False)
    check(fewer.returncode != 0 and "member remove" in fewer.stderr, f"how there would be fewer: {fewer.stderr}")


def networks(*filters):
    return subprocess.run(["ip", "-o", "link", "show", *filters], capture_output=True, text=True, check=True).stdout


def test_down_keeps_data(front):
    check("coxswain" in tables() and networks("type", "bridge"), "there is something to remove")
    pids = front.pids()
    out = front.run("down").stdout
    check("data kept in" in out, out)
    wait_until("every process ended", 10, lambda: not any(alive(pid) for pid in pids.values()))
    check("coxswain" not in tables(), f"our tables are gone: {tables()}")
    check("cox" not in networks("type", "bridge"), f"the pods' bridge is gone: {networks('type', 'bridge')}")
    check(not [m for m in pathlib.Path("/proc/mounts").read_text().splitlines() if str(front.home) in m], "no mount is left")
    check((front.home / "kubeconfig/admin.conf").exists(), "data is kept")
    stopped = front.run("status", ok=False)
    check(stopped.returncode != 0 and "./dev up" in stopped.stdout, "status says how to start it")


def tables():
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def test_up_after_down_and_purge(front):
    front.run("up")
    conf = str(front.home / "kubeconfig/admin.conf")
    replicas = subprocess.run([f"{front.build_dir}/bin/coxctl", "--kubeconfig", conf, "-n", "guestbook", "get", "deployment", "frontend",
                               "-o", "jsonpath={.spec.replicas}"], capture_output=True, text=True, check=True).stdout
    check(replicas, "the data of before is there")
    check(not front.containers("-a", "--filter", "status=exited", "--filter", "label=io.coxswain.owner"), "no leftovers of before")
    front.run("down", "--purge")
    check(not front.home.exists(), "--purge removes the home")
    wrong = subprocess.run([str(ROOT / "dev"), "down", "--purge"], capture_output=True, text=True,
                           env=dict(front.environment, COXSWAIN_HOME=str(HERE)))
    check(wrong.returncode != 0 and (HERE / "run.py").exists(), "a folder that is no cluster's is not removed")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        print("SKIPPED: root and dockerd are needed")
        return 77
    if os.environ.get("COXSWAIN_E2E_INSIDE") != "1":
        os.environ["COXSWAIN_E2E_INSIDE"] = "1"
        wrapper = str(HERE / "in-own-machine")
        os.execv(wrapper, [wrapper, sys.executable, __file__, str(pathlib.Path(sys.argv[1]).resolve())])
    front = Front(sys.argv[1])
    try:
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(front)
                print(f"  ok    {name}", flush=True)
    except Failure as failure:
        print(f"  FAIL  {failure}")
        return 1
    finally:
        if front.home.exists():
            front.run("down", "--purge", ok=False)
        shutil.rmtree(front.home.parent, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
