"""A whole cluster on a machine of its own (see in-own-machine), and small helpers to look at it."""
import base64
import json
import os
import re
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checks import Failure, check, wait_until  # noqa: E402,F401  (the flows take them from here)

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE = "e2e-node"
NODE_IP = "192.0.2.10"
IMAGE = "coxswain/e2e:1"
DAEMONS = ["api-server", "controller-manager", "scheduler", "kubelet", "kube-proxy"]


class Cluster:
    def __init__(self, build_dir):
        self.bin = pathlib.Path(build_dir).resolve() / "bin"
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="coxswain-e2e-"))
        self.socket = self.home / "docker.sock"
        self.processes = {}
        self.extra = {}  # daemon -> extra flags
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
        conf, pki = self.home / "kubeconfig", self.home / "pki"
        flags = {
            "api-server": ["--data-dir", self.home, "--secure-port", 6443, "--advertise-address", NODE_IP],
            "controller-manager": ["--kubeconfig", conf / "controller-manager.conf"],
            "scheduler": ["--kubeconfig", conf / "scheduler.conf"],
            "kube-proxy": ["--kubeconfig", conf / "kube-proxy.conf", "--node-name", NODE, "--cluster-cidr", "10.244.0.0/16"],
            "kubelet": ["--kubeconfig", conf / f"kubelet-{NODE}.conf", "--node-name", NODE, "--node-ip", NODE_IP,
                        "--root-dir", self.home / "kubelet", "--docker-socket", self.socket,
                        "--tls-cert-file", pki / f"kubelet-{NODE}.crt", "--tls-private-key-file", pki / f"kubelet-{NODE}.key",
                        "--client-ca-file", pki / "ca.crt"],
        }
        return flags[name] + self.extra.get(name, [])

    def start_daemon(self, name):
        self.spawn(name, self.bin / name, *self.arguments(name))

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
        self.start_docker()
        for name in DAEMONS:
            self.start_daemon(name)
            if name == "api-server":
                wait_until("api-server ready", 30, self.api_ready)
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
        config = (self.home / "kubeconfig/admin.conf").read_text()
        for what in ("client-certificate", "client-key"):
            data = re.search(what + r"-data:\s*(\S+)", config).group(1)
            (self.home / f"curl-{what}.pem").write_bytes(base64.b64decode(data))
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "10", "--cacert", self.home / "pki/ca.crt", "--cert", self.home / "curl-client-certificate.pem",
             "--key", self.home / "curl-client-key.pem", "-X", method, "-H", f"Accept: {accept}", "-w", "\n%{http_code}",
             *(["-H", f"Content-Type: {content_type}", "--data-binary", "@-"] if body is not None else []),
             f"https://127.0.0.1:6443{path}"], input=body, capture_output=True, text=True, check=True)
        text, _, status = done.stdout.rpartition("\n")
        return int(status), text

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
        return subprocess.run(["curl", "-fsS", "--max-time", "2", "--cacert", self.home / "pki/ca.crt",
                               "https://127.0.0.1:6443/readyz"], capture_output=True).returncode == 0

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


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
