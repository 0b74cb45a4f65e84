"""What control planes are made of: which processes, how they are started, and what may be taken from them.

A process is named by what it is, and from the second of its kind on by a number: api-server, api-server-2.
"""
import json
import random
import shutil
import subprocess

PORT = 6443  # where everybody finds the API
NODE_IP = "192.0.2.10"


class Alone:
    """One of each; the api-server has a store of its own."""
    name = "alone"
    api_servers, schedulers, managers = 1, 1, 1
    stores = ()  # processes that the api-servers need

    def __init__(self, cluster):
        self.cluster, self.home = cluster, cluster.home

    def instances(self, kind):
        count = {"api-server": self.api_servers, "scheduler": self.schedulers, "controller-manager": self.managers}.get(kind, 1)
        return [kind, *(f"{kind}-{i}" for i in range(2, count + 1))]

    def processes(self):
        """In the order in which they start."""
        return [*self.stores, *(name for kind in ("api-server", "controller-manager", "scheduler") for name in self.instances(kind))]

    def port(self, api_server):
        """Where this one alone answers."""
        return PORT if self.api_servers == 1 else PORT + number(api_server)

    def urls(self):
        return [f"https://127.0.0.1:{self.port(name)}" for name in self.instances("api-server")]

    def flags_of_clients(self, name):
        """How a daemon finds the api-servers: each tries another one first."""
        if self.api_servers == 1:
            return []
        first = sum(name.encode()) % self.api_servers
        return ["--api-servers", ",".join(self.urls()[first:] + self.urls()[:first])]

    def data_dir(self, api_server):
        return self.home if number(api_server) == 1 else self.home / api_server

    def flags(self, api_server):
        """Of an api-server."""
        return ["--data-dir", self.data_dir(api_server), "--secure-port", self.port(api_server), "--advertise-address", NODE_IP,
                *(["--shared-port", PORT] if self.api_servers > 1 else [])]

    def prepare(self):
        """Before the first start: one authority for all api-servers."""
        if self.api_servers == 1:
            return
        subprocess.run([self.cluster.bin / "api-server", "issue-node", "e2e-node", "--ip", NODE_IP, *map(str, self.flags("api-server"))],
                       check=True, capture_output=True)
        for name in self.instances("api-server")[1:]:
            pki = self.data_dir(name) / "pki"
            pki.mkdir(mode=0o700, parents=True)
            for file in ("ca.crt", "ca.key"):
                shutil.copy(self.home / "pki" / file, pki / file)

    def command(self, store):
        raise KeyError(store)

    def spared(self):
        """Processes any one of which can be lost without anybody's noticing more than a pause."""
        return []

    def majority(self):
        """Processes without which nothing is answered."""
        return ["api-server"]


class Three(Alone):
    """A group of three api-servers, and two of all that is elected."""
    name = "three"
    api_servers, schedulers, managers = 3, 2, 2

    def flags(self, api_server):
        members = ",".join(f"{i}=127.0.0.1:{2379 + i}" for i in (1, 2, 3))
        return [*super().flags(api_server), "--initial-cluster", members, "--member-id", number(api_server),
                "--member-name", api_server, "--peer-bind-address", "127.0.0.1"]

    def leader(self):
        _, text = self.cluster.api("GET", "/store/v1/status")
        return self.instances("api-server")[int(json.loads(text)["leader"]) - 1]

    def spared(self):
        return self.instances("api-server")

    def majority(self):
        leader = self.leader()
        return [leader, random.choice([name for name in self.instances("api-server") if name != leader])]


class Etcd(Alone):
    """Two api-servers on an external etcd of three members, with TLS and client certificates."""
    name = "etcd"
    api_servers, schedulers, managers = 2, 2, 2
    stores = ("etcd", "etcd-2", "etcd-3")

    def __init__(self, cluster):
        super().__init__(cluster)
        self.pki = cluster.home / "etcd-pki"

    def prepare(self):
        super().prepare()
        self.pki.mkdir(mode=0o700)
        request = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        # An authority of etcd's own, and one certificate for its members and its clients.
        subprocess.run([*request, "-x509", "-days", "2", "-subj", "/CN=etcd-ca", "-keyout", self.pki / "ca.key", "-out", self.pki / "ca.crt"],
                       check=True, capture_output=True)
        subprocess.run([*request, "-subj", "/CN=etcd", "-keyout", self.pki / "etcd.key", "-out", self.pki / "etcd.csr"],
                       check=True, capture_output=True)
        (self.pki / "extensions").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        subprocess.run(["openssl", "x509", "-req", "-in", self.pki / "etcd.csr", "-CA", self.pki / "ca.crt", "-CAkey", self.pki / "ca.key",
                        "-CAcreateserial", "-days", "2", "-extfile", self.pki / "extensions", "-out", self.pki / "etcd.crt"],
                       check=True, capture_output=True)

    def files(self, flag_ca, flag_certificate, flag_key):
        return [f"--{flag_ca}={self.pki / 'ca.crt'}", f"--{flag_certificate}={self.pki / 'etcd.crt'}", f"--{flag_key}={self.pki / 'etcd.key'}"]

    def flags(self, api_server):
        clients = ",".join(f"127.0.0.1:{2378 + number(s)}" for s in self.stores)
        return [*super().flags(api_server), f"--store=etcd://{clients}", *self.files("etcd-cafile", "etcd-certfile", "etcd-keyfile")]

    def command(self, store):
        client, peer = (f"https://127.0.0.1:{base + number(store)}" for base in (2378, 2388))
        peers = ",".join(f"{s}=https://127.0.0.1:{2388 + number(s)}" for s in self.stores)
        return ["etcd", f"--name={store}", f"--data-dir={self.home / store}", f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster={peers}", "--client-cert-auth", "--peer-client-cert-auth",
                *self.files("trusted-ca-file", "cert-file", "key-file"),
                *self.files("peer-trusted-ca-file", "peer-cert-file", "peer-key-file")]

    def spared(self):
        return [*self.instances("api-server"), *self.stores]

    def majority(self):
        return random.sample(self.stores, 2)


KINDS = {plane.name: plane for plane in (Alone, Three, Etcd)}


def number(name):
    """1 for api-server, 2 for api-server-2."""
    last = name.rpartition("-")[2]
    return int(last) if last.isdigit() else 1


def kind_of(name):
    return name.rpartition("-")[0] if name.rpartition("-")[2].isdigit() else name
