"""Three api-servers as one group: each a process in a network namespace of its own, on a small file system of its own."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import threading
import time

from checks import Failure, check, wait_until
from network import ip_of, run

PORT, PEER_PORT = 6443, 2380
DISK_MIB = 96
# Small, so that every schedule sees checkpoints, shortened logs and members that need the whole state.
STORE_FLAGS = ["--store-log-segment-bytes", 128 << 10, "--store-checkpoint-log-bytes", 256 << 10,
               "--store-keep-entries", 150]
START_SECONDS = 30


class Member:
    """One slot: its directory, and whichever process runs there now. `id` changes when the member is replaced."""

    def __init__(self, slot, home, log):
        self.slot, self.home, self.log, self.id = slot, pathlib.Path(home), pathlib.Path(log), slot
        self.ip, self.data = ip_of(slot), self.home / "data"
        self.peer = f"{self.ip}:{PEER_PORT}"
        self.process, self.expected_exit, self.joins = None, False, []
        self.filler, self.room = None, None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, what):
        if self.running():
            self.process.send_signal(what)

    def kill(self):
        self.expected_exit = True
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.process = None

    def terminate(self, seconds=15):
        if not self.running():
            return
        self.expected_exit = True
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"member {self.slot} does not stop within {seconds} s of SIGTERM") from None
        self.process = None
        check(code == 0, f"member {self.slot} ended with {code} after SIGTERM")

    def fill_disk(self):
        """Leaves no block free, and takes what the store gives back: as others on the same disk would."""
        if self.filler is None:
            self.room = threading.Event()
            self.filler = threading.Thread(target=self.keep_full, daemon=True)
            self.filler.start()

    def keep_full(self):
        ballast = os.open(self.home / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        while not self.room.is_set():
            size = 1 << 20
            while size >= 4096:
                try:
                    os.write(ballast, b"x" * size)
                except OSError:
                    size //= 2
            self.room.wait(0.01)
        os.close(ballast)

    def free_disk(self):
        if self.filler is not None:
            self.room.set()
            self.filler.join()
            self.filler = None
        (self.home / "ballast").unlink(missing_ok=True)


class Cluster:
    """`work` must be on a file system where mounts may be made; it is left behind for whoever looks for logs."""

    def __init__(self, binary, network, work):
        self.binary, self.network, self.work = binary, network, pathlib.Path(work)
        self.members = [Member(slot, self.work / f"m{slot}", self.work / f"member-{slot}.log") for slot in network.slots]
        self.cluster_id, self.context = "", None

    def member(self, slot):
        return self.members[slot - 1]

    def others(self, slot):
        return [m.slot for m in self.members if m.slot != slot]

    # --- processes -----------------------------------------------------------------------------
    def start_all(self):
        self.make_authority()
        for member in self.members:
            self.make_disk(member)
            self.start(member.slot)
        self.wait_ready(START_SECONDS)

    def make_authority(self):
        """One authority for all, and a client certificate of an administrator that outlives every member."""
        seed = self.work / "seed"
        run(self.binary, "--data-dir", str(seed), "--advertise-address", "127.0.0.1", "--log-level", "error",
            "issue-node", "clients")
        self.authority = seed / "pki"

    def make_disk(self, member):
        member.home.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(member.home))
        self.give_authority(member)

    def give_authority(self, member):
        (member.data / "pki").mkdir(parents=True)
        for name in ("ca.crt", "ca.key"):
            shutil.copy(self.authority / name, member.data / "pki" / name)

    def start(self, slot):
        member = self.member(slot)
        if member.running():
            return
        flags = ["--data-dir", member.data, "--bind-address", member.ip, "--advertise-address", member.ip,
                 "--secure-port", PORT, "--log-level", "info", "--member-id", member.id, "--member-name",
                 f"slot-{slot}-{member.id}", "--peer-bind-address", member.ip,
                 "--initial-cluster", self.initial_cluster(), *member.joins, *STORE_FLAGS]
        with open(member.log, "ab") as log:
            member.process = subprocess.Popen([*self.network.inside(slot), self.binary, *[str(f) for f in flags]],
                                              stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        member.expected_exit = False

    def initial_cluster(self):
        return ",".join(f"{m.id}={m.peer}" for m in self.members)

    def stop_all(self):
        for member in self.members:
            member.send(signal.SIGCONT)
            member.kill()

    def unmount(self):
        for member in self.members:
            subprocess.run(["umount", "-l", member.home], check=False, capture_output=True)

    def died(self):
        """Members whose process ended though nobody asked it to."""
        return [m.slot for m in self.members
                if m.process is not None and m.process.poll() is not None and not m.expected_exit]

    # --- talking to it ---------------------------------------------------------------------------
    def tls(self):
        if self.context is None:
            pki = self.members[0].data / "pki"
            wait_until("the administrator's certificate", START_SECONDS, (pki / "admin-client.key").exists, 0.02)
            for name in ("admin-client.crt", "admin-client.key"):
                shutil.copy(pki / name, self.authority / name)
            self.context = ssl.create_default_context(cafile=self.authority / "ca.crt")
            self.context.load_cert_chain(self.authority / "admin-client.crt", self.authority / "admin-client.key")
        return self.context

    def connect(self, slot, timeout_s):
        connection = http.client.HTTPSConnection(ip_of(slot), PORT, context=self.tls(), timeout=timeout_s)
        connection.connect()
        return connection

    def call(self, slot, method, path, body=None, timeout_s=5.0):
        """(status, parsed body or text). Raises OSError or http.client.HTTPException."""
        connection = self.connect(slot, timeout_s)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(data)
        except ValueError:
            return response.status, data.decode(errors="replace")

    def ready(self, slot):
        return self.member(slot).running() and self.call(slot, "GET", "/readyz", timeout_s=2.0)[0] == 200

    def wait_ready(self, seconds):
        deadline = time.monotonic() + seconds
        for member in self.members:
            wait_until(f"member {member.slot} is ready", max(0.5, deadline - time.monotonic()),
                       lambda slot=member.slot: self.ready(slot), 0.05)

    def try_call(self, slot, method, path, body=None, timeout_s=2.0):
        """The parsed answer; None: there was none, or a refusal."""
        try:
            code, answer = self.call(slot, method, path, body, timeout_s)
        except (OSError, http.client.HTTPException):
            return None
        return answer if code < 300 and isinstance(answer, dict) else None

    def status(self, slot):
        """What a member says of the group; None: nothing."""
        return self.try_call(slot, "GET", "/store/v1/status", timeout_s=0.5)

    def leader(self):
        """The slot that leads, by whoever knows of the latest term. None: nobody, or nobody says so."""
        known = [s for s in (self.status(m.slot) for m in self.members if m.running()) if s and s["leader"] != "0"]
        if not known:
            return None
        latest = max(known, key=lambda s: int(s["term"]))
        return next((m.slot for m in self.members if str(m.id) == latest["leader"]), None)

    # --- members ---------------------------------------------------------------------------------
    def ask(self, method, path, body, slots, seconds=20):
        """A change of the members through whichever of `slots` takes it."""
        def attempt():
            for slot in slots:
                try:
                    code, answer = self.call(slot, method, path, body, timeout_s=12.0)
                except (OSError, http.client.HTTPException) as error:
                    last.append(str(error))
                    continue
                if code < 300 or code in done_already:
                    return answer
                last.append(f"{code} {answer}")
            return None
        last, done_already = [], (409,) if path.endswith("/members") else ()
        try:
            return wait_until(f"{method} {path}", seconds, attempt)
        except Failure as failure:
            raise Failure(f"{failure}: {last[-1:]}") from None

    def replace(self, slot):
        """Removes the member, destroys what it had, and puts another one with an empty directory in its place."""
        member, others = self.member(slot), self.others(slot)
        member.kill()
        self.ask("DELETE", f"/store/v1/members/{member.id}", None, others)
        shutil.rmtree(member.data)
        member.free_disk()
        name = f"slot-{slot}-after-{member.id}"
        self.ask("POST", "/store/v1/members", {"name": name, "peerAddress": member.peer}, others)
        members = self.ask("GET", "/store/v1/members", None, others)
        added = [m for m in members["members"] if m["peerAddress"] == member.peer and m["role"] != "removed"]
        check(len(added) == 1, f"one member has the address {member.peer}: {members}")
        member.id = int(added[0]["id"])
        member.joins = ["--initial-cluster-state", "existing", "--cluster-id", members["clusterId"]]
        self.give_authority(member)
        self.start(slot)
        self.ask("POST", f"/store/v1/members/{member.id}/promote", None, others)
