#!/usr/bin/env python3
"""The api-server with its store in an external etcd: a real one, restarted, cut off, shared, and refused."""
import concurrent.futures

import test_crash as crash
import test_watch as watches
from server import *


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Etcd:
    def __init__(self, home, tls=None):
        if shutil.which("etcd") is None:
            raise Skipped("etcd is not installed (Debian: etcd-server)")
        self.home, self.tls, self.process = home / "etcd", tls, None
        self.port, self.peer_port = free_port(), free_port()
        home.mkdir(exist_ok=True)

    def start(self):
        client = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        peer = f"http://127.0.0.1:{self.peer_port}"
        arguments = ["etcd", "--name=m", f"--data-dir={self.home}", f"--listen-client-urls={client}",
                     f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                     f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=m={peer}",
                     "--heartbeat-interval=50", "--election-timeout=500", *(self.tls or [])]
        with open(f"{self.home}.log", "ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def stop(self, how=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def flags(self):
        return [f"--store=etcd://127.0.0.1:{self.port}"]


class On:
    """A started api-server on a started etcd."""

    def __init__(self, s, *more):
        self.s, self.etcd = s, Etcd(s.home).start()
        s.flags += [*self.etcd.flags(), *more]

    def __enter__(self):
        self.s.start()
        return self.etcd

    def __exit__(self, *_):
        self.s.stop()
        self.etcd.stop()


def revision_of(answer):
    return int(answer.json()["metadata"]["resourceVersion"])


@starts_itself
def test_create_list_watch_resume(s):
    with On(s):
        first = s.put_map("a", {"n": "1"})
        equal(first.status, 201, "create")
        watch = Watch(s, f"{MAPS}?watch=1&resourceVersion={revision_of(first)}")
        changed = s.call("PUT", f"{MAPS}/a", {"metadata": {"name": "a"}, "data": {"n": "2"}})
        equal(changed.status, 200, "update")
        equal(s.call("PUT", f"{MAPS}/a", {"metadata": {"name": "a", "resourceVersion": str(revision_of(first))}}).status,
              409, "an update of what is old")
        equal(s.put_map("a", {}).status, 409, "create again")
        equal(s.call("DELETE", f"{MAPS}/a").status, 200, "delete")
        events = [watch.next() for _ in range(2)]
        equal([e["type"] for e in events], ["MODIFIED", "DELETED"], "watched")
        equal(events[1]["object"]["data"], {"n": "2"}, "the last words of a deletion")
        check(int(events[1]["object"]["metadata"]["resourceVersion"]) > revision_of(changed), "a deletion has a revision")
        for n in range(5):
            s.put_map(f"b{n}", {})
        page = s.call("GET", MAPS + "?limit=2").json()
        s.put_map("b9", {})
        rest = s.call("GET", f"{MAPS}?limit=10&continue={page['metadata']['continue']}").json()
        names = [i["metadata"]["name"] for i in page["items"] + rest["items"]]
        check("b9" not in names and "b4" in names, f"pages of one revision: {names}")

        s.stop()
        s.start()
        resumed = Watch(s, f"{MAPS}?watch=1&resourceVersion={revision_of(first)}")
        equal([resumed.next()["type"] for _ in range(4)], ["MODIFIED", "DELETED", "ADDED", "ADDED"],
              "a watch that is taken up after a restart of the api-server")
        equal(s.call("GET", f"{MAPS}/b9").status, 200, "what was written before the restart")
        check(not (s.data / "store").exists(), "nothing is stored beside etcd")


@starts_itself
def test_etcd_restarts_under_it(s):
    with On(s) as etcd:
        first = revision_of(s.put_map("a", {}))
        watch = Watch(s, f"{MAPS}?watch=1&resourceVersion={first}", seconds=30)
        for n in range(3):
            etcd.stop()
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                writes = [pool.submit(s.put_map, f"m{n}-{k}", {}) for k in range(4)]
                time.sleep(0.3)
                etcd.start()
                equal([w.result().status for w in writes], [201] * 4, "writes wait for it")
        seen = {watch.next()["object"]["metadata"]["name"] for _ in range(12)}
        equal(seen, {f"m{n}-{k}" for n in range(3) for k in range(4)}, "one watch over three restarts")


@starts_itself
def test_etcd_away_for_long(s):
    with On(s) as etcd:
        s.put_map("a", {"n": "1"})
        etcd.stop()
        wait_until("it says that it is not ready", 10, lambda: not s.ready())
        check("etcd at 127.0.0.1" in s.call("GET", "/readyz?verbose").body.decode(), "and why")
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            write, read = pool.submit(s.put_map, "b", {}), pool.submit(s.call, "GET", f"{MAPS}/a")
            equal(write.result().status, 503, "a write that was not made")
            equal(read.result().status, 503, "a read that cannot be fresh")
        check(time.monotonic() - began < 15, "both in time")
        equal(s.call("GET", f"{MAPS}/a?resourceVersion=0").json()["data"], {"n": "1"}, "a read that need not be")
        equal(s.call("GET", "/livez").status, 200, "it lives")
        etcd.start()
        wait_until("it is ready again", 10, s.ready)
        equal(s.put_map("b", {}).status, 201, "a write again")


@starts_itself
def test_two_api_servers_on_one_etcd(s):
    with On(s):
        other = Server(s.binary, flags=s.flags)
        shutil.copytree(s.data / "pki", other.data / "pki")
        try:
            other.start()
            for n in range(50):
                one, two = (s, other) if n % 2 else (other, s)
                equal(one.put_map(f"m{n}", {"n": str(n)}).status, 201, "written through one")
                equal(two.call("GET", f"{MAPS}/m{n}").json()["data"], {"n": str(n)}, "read at once through the other")
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                statuses = list(pool.map(lambda n: (s, other)[n % 2].put_map("only-one", {}).status, range(8)))
            equal(sorted(statuses), [201] + [409] * 7, "one of all creates it")
            service = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
            wait_until("the kubernetes Service leads to both", 30, lambda: {str(s.port), str(other.port)} <= {
                str(p["port"]) for slice in s.call("GET", service).json()["items"] for p in slice["ports"]})
        finally:
            other.stop()
            other.remove()


@starts_itself
def test_killed_under_write_load(s):
    crash.KILLS = 8
    with On(s):
        crash.test_kill_9_under_write_load(s)


@starts_itself
def test_watches_are_the_same(s):
    """All of test_watch.py, each test with a prefix of its own."""
    etcd = Etcd(s.home).start()
    try:
        for name, test in vars(watches).items():
            if not name.startswith("test_"):
                continue
            more = getattr(watches, "FLAGS", {}).get(name, [])
            one = Server(s.binary, flags=[*etcd.flags(), f"--etcd-prefix=/{name}", *more])
            try:
                test(one.start())
            finally:
                one.remove()
    finally:
        etcd.stop()


@starts_itself
def test_tls_with_client_certificates(s):
    maker = Server(s.binary)  # its authority signs for etcd, too
    etcd = None
    try:
        maker.start()
        maker.stop()
        pki = maker.data / "pki"
        etcd = Etcd(s.home, tls=[f"--cert-file={pki}/apiserver.crt", f"--key-file={pki}/apiserver.key",
                                 f"--trusted-ca-file={pki}/ca.crt", "--client-cert-auth"]).start()
        files = [f"--etcd-cafile={pki}/ca.crt", f"--etcd-certfile={pki}/admin-client.crt",
                 f"--etcd-keyfile={pki}/admin-client.key"]
        code, lines = s.run_once(*etcd.flags(), files[0])
        check(code == 1 and len(lines) == 1 and "--etcd-certfile" in lines[0], f"without a certificate: {lines}")
        s.flags += [*etcd.flags(), *files]
        s.start()
        equal(s.put_map("a", {}).status, 201, "with one")
    finally:
        s.stop()
        if etcd is not None:
            etcd.stop()
        maker.remove()


@starts_itself
def test_misuse_is_refused(s):
    for flags, part in [
        (["--store=etcd://"], "HOST:PORT"),
        (["--store=etcd://192.0.2.1:2379"], "plain text"),
        (["--store=consul://a"], "--store must be"),
        (["--store=etcd://127.0.0.1:1", "--etcd-prefix=x"], "--etcd-prefix"),
        (["--store=etcd://127.0.0.1:1", "--etcd-certfile=/a"], "belong together"),
        (["--store=etcd://127.0.0.1:1", "--etcd-cafile=/nowhere"], "/nowhere"),
        (["--etcd-cafile=/a"], "go with --store=etcd://"),
        (["--store=etcd://127.0.0.1:1", "--initial-cluster=1=127.0.0.1:1", "--member-id=1"], "built-in store"),
    ]:
        code, lines = s.run_once(*flags)
        check(code == 1 and len(lines) == 1 and part in lines[0], f"{flags}: {code} {lines}")


if __name__ == "__main__":
    main(globals())
