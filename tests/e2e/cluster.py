"""A whole cluster on a machine of its own (see in-own-machine), and small helpers to look at it."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checks import Failure, check, wait_until  # noqa: E402,F401  (the flows take them from here)
from control_plane import KINDS, NODE_IP, PORT, kind_of, number  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE = "e2e-node"
IMAGE = "coxswain/e2e:1"
HEALTH_PORTS = {"controller-manager": 10257, "scheduler": 10259}


class Cluster:
    def __init__(self, build_dir, control_plane="alone"):
        self.bin = pathlib.Path(build_dir).resolve() / "bin"
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="coxswain-e2e-"))
        self.socket = self.home / "docker.sock"
        self.processes = {}
        self.extra = {}  # kind of daemon -> extra flags
        self.plane = KINDS[control_plane](self)
        self.daemons = [*self.plane.processes(), "kubelet", "kube-proxy"]
        self.kubectl_binary = os.environ.get("COXSWAIN_KUBECTL") or shutil.which("kubectl")
        client = json.loads(subprocess.run([self.kubectl_binary, "version", "--client", "-o", "json"], capture_output=True,
                                           text=True, check=True, env={"HOME": "/nonexistent"}).stdout)["clientVersion"]
        self.kubectl_minor = int(client["minor"].rstrip("+"))  # Debian 12 has 20; some verbs are younger

    # --- processes -------------------------------------------------------------------------------
    def spawn(self, name, *arguments):
        log = open(self.home / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen([str(a) for a in arguments], stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL, start_new_session=True)

    def arguments(self, name):
        conf, pki, kind = self.home / "kubeconfig", self.home / "pki", kind_of(name)
        if kind == "api-server":
            return self.plane.flags(name) + self.extra.get(kind, [])
        flags = {
            "kube-proxy": ["--node-name", NODE, "--cluster-cidr", "10.244.0.0/16"],
            "kubelet": ["--node-name", NODE, "--node-ip", NODE_IP, "--root-dir", self.home / "kubelet", "--docker-socket", self.socket,
                        "--tls-cert-file", pki / f"kubelet-{NODE}.crt", "--tls-private-key-file", pki / f"kubelet-{NODE}.key",
                        "--client-ca-file", pki / "ca.crt"],
        }.get(kind, [])
        if number(name) > 1:
            flags = ["--healthz-bind-address", health_address(name)]
        config = conf / (f"kubelet-{NODE}.conf" if kind == "kubelet" else f"{kind}.conf")
        return ["--kubeconfig", config, *flags, *self.plane.flags_of_clients(name), *self.extra.get(kind, [])]

    def start_daemon(self, name):
        if name in self.plane.stores:
            self.spawn(name, *self.plane.command(name))
        else:
            self.spawn(name, self.bin / kind_of(name), *self.arguments(name))

    def restart(self, kind, *extra):
        """All daemons of that kind, with these flags beside the usual ones."""
        self.extra[kind] = list(extra)
        for name in self.plane.instances(kind):
            self.kill(name, signal.SIGTERM)
            self.start_daemon(name)

    def kill(self, name, how=signal.SIGKILL):
        self.processes[name].send_signal(how)
        return self.processes[name].wait(30)

    def start_docker(self):
        self.spawn("dockerd", "dockerd", "--data-root", self.home / "docker", "--exec-root", "/run/docker",
                   "--pidfile", "/run/dockerd.pid", "--host", f"unix://{self.socket}")
        wait_until("dockerd", 60, lambda: self.docker("version", "-f", "{{.Server.Version}}"))
        self.import_image(IMAGE)

    def import_image(self, name):
        rootfs = self.home / "rootfs"
        (rootfs / "bin").mkdir(parents=True, exist_ok=True)
        for folder in ("tmp", "etc", "www", "data"):
            (rootfs / folder).mkdir(exist_ok=True)
        shutil.copy("/bin/busybox", rootfs / "bin/busybox")
        for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            link = rootfs / "bin" / applet
            if applet != "busybox" and not link.exists():
                link.symlink_to("busybox")
        (rootfs / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        source = ROOT / "tests/e2e/image"
        shutil.copytree(source, rootfs / "app", dirs_exist_ok=True)
        subprocess.run(["cc", "-O1", "-static", "-o", rootfs / "app/udp", source / "udp.c"], check=True)
        tar = subprocess.Popen(["tar", "-C", rootfs, "--owner=0", "--group=0", "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "-H", f"unix://{self.socket}", "import", "-c", 'CMD ["/app/web"]', "-", name],
                       stdin=tar.stdout, check=True, capture_output=True)
        tar.wait()

    def start(self):
        self.plane.prepare()
        servers = [*self.plane.stores, *self.plane.instances("api-server")]
        for name in servers:  # members wait for each other
            self.start_daemon(name)
        self.start_docker()
        wait_until("api-server ready", 60, self.api_ready)
        for name in self.daemons:
            if name not in servers:
                self.start_daemon(name)
        wait_until("node ready", 60, self.node_ready)

    def stop(self):
        for name in reversed(list(self.processes)):
            if self.processes[name].poll() is None:
                self.processes[name].terminate()
        for name, process in self.processes.items():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def remove(self):
        subprocess.run(["sh", "-c", f"awk '$2 ~ \"^{self.home}\" {{print $2}}' /proc/mounts | sort -r | xargs -r umount -l"],
                       check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    # --- looking and doing ------------------------------------------------------------------------
    def environment(self):
        return dict(os.environ, KUBECONFIG=str(self.home / "kubeconfig/admin.conf"), HOME=str(self.home))

    def kubectl(self, *arguments, stdin=None, ok=True, timeout=120):
        """Standard output of kubectl. With ok=False the CompletedProcess, whatever happened."""
        done = subprocess.run([self.kubectl_binary, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                              env=self.environment(), timeout=timeout)
        if not ok:
            return done
        if done.returncode != 0:
            raise Failure(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def api(self, method, path, body=None, content_type="application/json", accept="application/json"):
        """(HTTP status, text) of a request with curl and the administrator's client certificate."""
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "10", *self.credentials(), "-X", method, "-H", f"Accept: {accept}", "-w", "\n%{http_code}",
             *(["-H", f"Content-Type: {content_type}", "--data-binary", "@-"] if body is not None else []),
             f"https://127.0.0.1:{PORT}{path}"], input=body, capture_output=True, text=True, check=True)
        text, _, status = done.stdout.rpartition("\n")
        return int(status), text

    def credentials(self):
        """For curl: the administrator's."""
        pki = self.home / "pki"
        return ["--cacert", pki / "ca.crt", "--cert", pki / "admin-client.crt", "--key", pki / "admin-client.key"]

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, text):
        return self.kubectl("apply", "-f", "-", stdin=text)

    def docker(self, *arguments):
        return subprocess.run(["docker", "-H", f"unix://{self.socket}", *arguments], capture_output=True, text=True,
                              check=True).stdout.strip()

    def curl(self, url, *options, timeout=3):
        return subprocess.run(["curl", "-sS", "--fail", "--max-time", str(timeout), *options, url], capture_output=True,
                              text=True, check=True).stdout

    def api_ready(self):
        """Every api-server is."""
        return all(subprocess.run(["curl", "-fsS", "--max-time", "2", "--cacert", self.home / "pki/ca.crt", f"{url}/readyz"],
                                  capture_output=True).returncode == 0 for url in self.plane.urls())

    def node_ready(self):
        conditions = self.get("node", NODE)["status"].get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def pods(self, ns, selector=None):
        return self.get("pods", "-n", ns, *(["-l", selector] if selector else []))["items"]

    def ready_pods(self, ns, selector=None):
        return [p for p in self.pods(ns, selector) if is_ready(p) and "deletionTimestamp" not in p["metadata"]]

    def wait_ready(self, ns, selector, count, seconds=30):
        return wait_until(f"{count} ready pods of {selector} in {ns}", seconds,
                          lambda: (lambda pods: pods if len(pods) == count else None)(self.ready_pods(ns, selector)))

    def pod_exec(self, pod, *command):
        """Runs a command in the pod's first container, through Docker."""
        container = pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        return self.docker("exec", container, *command)


def health_address(name):
    """Where a scheduler or controller-manager tells of its health and its metrics."""
    return f"127.0.0.1:{HEALTH_PORTS[kind_of(name)] + (100 * number(name) if number(name) > 1 else 0)}"


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
