#!/usr/bin/env python3
"""The control plane of docker/compose.ha.yaml: made from Debian's packages and the programs of BUILD_DIR, started as
a user starts it, and killed part by part while kubectl writes through its one address.

usage: compose_ha.py BUILD_DIR       exits 77 (skipped) where something that it needs is not there, and says what

The base image is made on the machine as it is, which must reach Debian's packages; all the rest runs on a machine of
its own (tests/e2e/with-dockerd), without any network. All of it once with docker-compose 1.29 and once with the compose
plugin, if there are both.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
from checks import Failure, check, wait_until  # noqa: E402

PROGRAMS = ("api-server", "scheduler", "controller-manager", "kubelet", "kube-proxy", "coxctl")
BASE = "coxswain/debian:test"
IMAGE = "coxswain/coxswain:test"
ADDRESS = "192.0.2.10"  # of the machine of its own
SERVERS = ("api-server-1", "api-server-2", "api-server-3")
LONGEST_WRITE_S = 10  # while an api-server, the store's leader perhaps, is killed
TAKE_OVER_S = 15


def missing():
    if os.geteuid() != 0:
        return "root is needed for a Docker Engine of its own"
    for tool in ("dockerd", "docker", "mmdebstrap", "kubectl", "unshare", "ip", "curl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return None if compose_commands() else "there is no docker-compose and no compose plugin"


def compose_commands():
    return [command for command in (["docker-compose"], ["docker", "compose"])
            if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0]


def run(*command, timeout=120, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, **more)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


class ControlPlane:
    def __init__(self, build_dir, home, command):
        self.bin, self.home, self.command = pathlib.Path(build_dir) / "bin", home, command
        self.conf = home / "admin.conf"
        os.environ["DOCKER_HOST"] = f"unix://{os.environ['COXSWAIN_TEST_DOCKER_SOCKET']}"
        os.environ.update(COXSWAIN_IMAGE=IMAGE, COXSWAIN_BASE=BASE, COXSWAIN_ADDRESS=ADDRESS, HOME=str(home))

    def prepare(self):
        """The base, and a tree from which `up` builds the image with programs that are compiled already."""
        run(ROOT / "docker/make-base", "--load", self.home.parent / "base.tar", "--name", BASE)
        context, more = self.home / "tree", self.home / "more.yaml"
        shutil.copytree(ROOT / "docker", context / "docker")
        shutil.copytree(ROOT / "tools/dev", context / "tools/dev")
        (context / "bin").mkdir()
        for program in PROGRAMS:
            run("strip", "-o", context / "bin" / program, self.bin / program)
        more.write_text("services: {credentials: {build: {args: {PROGRAMS: bin}}}}\n")
        os.environ["COMPOSE_FILE"] = f"{context}/docker/compose.ha.yaml:{more}"

    def compose(self, *words):
        return run(*self.command, *words)

    def container(self, service):
        return run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.service={service}").strip()

    def inspect(self, service):
        return json.loads(run("docker", "inspect", self.container(service)))[0]

    def kill(self, service):
        run("docker", "kill", "--signal", "KILL", self.container(service))

    def fetch_kubeconfig(self):
        self.conf.write_text(self.compose("exec", "-T", "api-server-1", "cat", "kubeconfig/admin.conf"))

    def kubectl(self, *words, stdin=None):
        return run("kubectl", "--kubeconfig", self.conf, "--request-timeout=5s", *words, input=stdin, timeout=30)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def holder(self, lease):
        """Which container holds it: identities begin with the host name."""
        return self.get("lease", lease, "-n", "kube-system")["spec"]["holderIdentity"].split("_")[0]

    def members_are_well(self):
        status = run(self.bin / "coxctl", "--kubeconfig", self.conf, "store", "status")
        return status.count(" leader ") == 1 and status.count(" follower ") == 2 and "unreachable" not in status


class Writer(threading.Thread):
    """Makes ConfigMaps with kubectl, one after the other; each is tried until it is there."""

    def __init__(self, plane, prefix):
        super().__init__(daemon=True)
        self.plane, self.prefix = plane, prefix
        self.written, self.longest_s, self.failure = [], 0.0, None
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set() and not self.failure:
            name, started = f"{self.prefix}-{len(self.written)}", time.monotonic()
            while (said := self.attempt(name)) is not None:
                if time.monotonic() - started > 3 * LONGEST_WRITE_S:
                    self.failure = f"{name} was not written: {said}"
                    return
                time.sleep(0.1)
            self.longest_s = max(self.longest_s, time.monotonic() - started)
            self.written.append(name)

    def attempt(self, name):
        try:
            self.plane.kubectl("create", "configmap", name, f"--from-literal=name={name}")
        except (Failure, subprocess.TimeoutExpired) as error:
            # One whose answer was lost may have been done.
            return None if "AlreadyExists" in str(error) or "already exists" in str(error) else str(error)

    def check(self, least):
        check(self.failure is None, self.failure)
        check(self.longest_s <= LONGEST_WRITE_S, f"the longest write took {self.longest_s:.1f} s, not {LONGEST_WRITE_S} at most")
        check(len(self.written) >= least, f"writes went on: {len(self.written)}")


def test_up(p):
    p.compose("up", "-d")  # builds the image, which is not there
    wait_until("the kubeconfig is there", 30, lambda: p.fetch_kubeconfig() or "server:" in p.conf.read_text())
    check(f"https://{ADDRESS}:6443" in p.conf.read_text().replace('"', ""), "it leads to the one address")
    wait_until("the control plane answers", 60, lambda: p.kubectl("get", "namespaces"))
    wait_until("three members, one leads", 60, p.members_are_well)
    for lease in ("kube-scheduler", "kube-controller-manager"):
        wait_until(f"somebody holds {lease}", 60, lambda: p.holder(lease).startswith(lease.removeprefix("kube-")))


def test_what_each_container_may(p):
    for service in (*SERVERS, "scheduler-1", "controller-manager-2", "balancer"):
        about = p.inspect(service)
        check(about["Config"]["User"] == "coxswain" and about["HostConfig"]["ReadonlyRootfs"], f"{service}: {about['Config']}")
    seen = p.compose("exec", "-T", "scheduler-1", "find", "/etc/coxswain", "/var/lib/coxswain", "-name", "*.key", "-o", "-name", "*.conf")
    check(seen.split() == ["/etc/coxswain/scheduler/scheduler.conf"], f"a scheduler has its own credentials only: {seen}")


def survive_a_kill(p, server, kill, comes_back):
    writer = Writer(p, f"while-{server}")
    writer.start()
    wait_until("it writes", 30, lambda: len(writer.written) >= 3)
    kill()
    killed = len(writer.written)
    comes_back(writer)
    wait_until(f"{server} is a member again", 60, p.members_are_well)
    wait_until("it wrote on", 30, lambda: writer.failure or len(writer.written) >= killed + 10)
    writer.done.set()
    writer.join(60)
    writer.check(killed + 10)
    there = {item["metadata"]["name"] for item in p.get("configmaps")["items"]}
    check(set(writer.written) <= there, f"nothing was lost: {set(writer.written) - there}")
    print(f"        {len(writer.written)} writes, the longest took {writer.longest_s:.1f} s", flush=True)


def test_the_next_command_goes_to_another_one(p):
    """Not after the balancer's checks have found out. They do so after about a second, and may meet a command on its way."""
    answered = 0
    for server in SERVERS:
        p.kill(server)
        try:
            p.kubectl("create", "configmap", f"without-{server}")  # kubectl would try a GET again
            answered += 1
        except Failure as failure:
            print(f"        {server} was killed: {failure}", flush=True)
        run("docker", "start", p.container(server))
        wait_until(f"{server} is a member again", 60, p.members_are_well)
    check(answered >= 2, f"commands go on: {answered} of 3")


def test_any_api_server_is_killed(p):
    for server in SERVERS:
        def writes_go_on_without_it(writer, server=server):
            time.sleep(2)  # for the balancer, to find out
            before = len(writer.written)
            wait_until(f"writes without {server}", 2 * LONGEST_WRITE_S, lambda: writer.failure or len(writer.written) >= before + 10)
            check(not p.inspect(server)["State"]["Running"], f"{server} is down")
            run("docker", "start", p.container(server))
        survive_a_kill(p, server, lambda server=server: p.kill(server), writes_go_on_without_it)


def test_a_process_that_dies_is_started_again(p):
    before = p.inspect("api-server-2")["State"]["Pid"]
    survive_a_kill(p, "its-process", lambda: os.kill(before, 9),
                   lambda _: wait_until("another process", 30, lambda: p.inspect("api-server-2")["State"]["Pid"] not in (0, before)))


def test_leaders_are_killed(p):
    leases = ("kube-scheduler", "kube-controller-manager")
    old = {lease: p.holder(lease) for lease in leases}
    killed = time.monotonic()
    for service in old.values():
        p.kill(service)
    for lease in leases:
        kind = lease.removeprefix("kube-")
        new = wait_until(f"another one holds {lease}", TAKE_OVER_S - (time.monotonic() - killed),
                         lambda: (lambda now: now if now not in ("", old[lease]) else None)(p.holder(lease)))
        check(new in (f"{kind}-1", f"{kind}-2"), f"{new} holds {lease}")
        print(f"        {new} took over after {time.monotonic() - killed:.1f} s", flush=True)
    p.kubectl("create", "deployment", "later", "--image=example/none:1")
    wait_until("the controllers work", 15, lambda: p.get("replicasets", "-l", "app=later")["items"])
    pod = wait_until("a pod", 15, lambda: p.get("pods", "-l", "app=later")["items"])[0]["metadata"]["name"]
    wait_until("the scheduler has seen it", 15, lambda: any(
        c["type"] == "PodScheduled" for c in p.get("pod", pod)["status"].get("conditions", [])))
    for service in old.values():
        run("docker", "start", p.container(service))


def test_a_lost_member_is_replaced(p):
    """As docs/operations.md says."""
    coxctl = ["exec", "-T", "api-server-1", "coxctl", "store"]
    volume = next(mount["Name"] for mount in p.inspect("api-server-2")["Mounts"])
    p.compose("rm", "-sf", "api-server-2", "credentials")
    run("docker", "volume", "rm", volume)
    p.compose(*coxctl, "member", "remove", "2")
    flags = p.compose(*coxctl, "member", "add", "api-server-2", "--peer-address", "api-server-2:2380")
    os.environ["COXSWAIN_MEMBER_2"] = " ".join(re.findall(r"--(?:member-id|initial-cluster|initial-cluster-state|cluster-id) \S+", flags))
    p.compose("up", "-d")
    wait_until("it gets its vote", 30, lambda: p.compose(*coxctl, "member", "promote", "4"))
    wait_until("three members, one leads", 30, p.members_are_well)


def test_a_node_gets_its_credentials(p):
    p.compose("exec", "-T", "api-server-1", "api-server", "issue-node", "worker-1", "--ip", "192.0.2.20",
              "--control-plane-endpoint", f"{ADDRESS}:6443")
    conf = p.home / "worker-1.conf"
    conf.write_text(p.compose("exec", "-T", "api-server-1", "cat", "kubeconfig/kubelet-worker-1.conf"))
    check("items" in json.loads(run("kubectl", "--kubeconfig", conf, "get", "nodes", "-o", "json")), "it is let in")


def test_down_keeps_data_and_down_v_does_not(p):
    conf, count = p.conf.read_text(), len(p.get("configmaps")["items"])
    containers = {service: p.container(service) for service in SERVERS}
    p.compose("up", "-d")
    check({service: p.container(service) for service in SERVERS} == containers, "a second `up` changes nothing")
    p.compose("down")
    p.compose("up", "-d")
    wait_until("it is there again", 60, lambda: len(p.get("configmaps")["items"]) == count)
    p.fetch_kubeconfig()
    check(p.conf.read_text() == conf, "the kubeconfig of before is still the right one")
    p.compose("down", "-v", "-t", "1")
    for what in (["ps", "-aq"], ["volume", "ls", "-q"]):
        check(not run("docker", *what).strip(), f"nothing is left: {what}")


def show_logs(plane):
    try:
        print(plane.compose("ps"), plane.compose("logs", "--tail=25"), sep="\n", flush=True)
    except (Failure, subprocess.TimeoutExpired) as error:
        print(f"no logs: {error}")


def inside(build_dir, home, command):
    print(f"  {run(*command, 'version').splitlines()[0]}", flush=True)
    plane = ControlPlane(build_dir, home, command)
    plane.prepare()
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            started = time.monotonic()
            try:
                test(plane)
            except (Failure, OSError, subprocess.TimeoutExpired) as failure:
                show_logs(plane)
                print(f"  FAIL  {name} ({time.monotonic() - started:.1f} s): {failure}", flush=True)
                return 1
            print(f"  ok    {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return 0


def on_its_own_machine(build_dir, home, command):
    home.mkdir()
    return subprocess.run([HERE.parent / "e2e/with-dockerd", sys.executable, __file__, "--inside",
                           str(pathlib.Path(build_dir).resolve()), str(home), *command]).returncode


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "--inside":
        return inside(sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:])
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    if reason := missing():
        print(f"SKIPPED: {reason}")
        return 77
    home = pathlib.Path(tempfile.mkdtemp(prefix="coxswain-compose-"))
    try:
        started = time.monotonic()
        run(ROOT / "docker/make-base", "--include", ROOT / "tools/dev/packages-runtime.txt", "--save", home / "base.tar", timeout=400)
        print(f"  ok    the base is made ({time.monotonic() - started:.1f} s)", flush=True)
        for command in compose_commands():
            if code := on_its_own_machine(sys.argv[1], home / command[-1], command):
                return code
        return 0
    except Failure as failure:
        print(f"  FAIL  {failure}")
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
