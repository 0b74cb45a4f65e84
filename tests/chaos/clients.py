"""Writers and watchers: threads with TLS connections of their own to random api-servers, which write down what they did.

A request has one of four outcomes (history.py). Nothing is sent twice: a retry is a request of its own, with a value of its
own, so that whatever the store did twice can be told from what a client asked for twice.
"""
import http.client
import json
import random
import socket
import ssl
import threading
import time

from history import Event, Op, Stream

CONNECT_S = 0.7
ANSWER_S = 2.5     # more than an election takes
STREAM_S = 1.0     # without an event: the server may be cut off; resume elsewhere
AVOID_S = 0.7      # a server that did not answer
PAUSE_S = 0.02     # between two requests of a writer, at most
LOST = (OSError, ssl.SSLError, http.client.HTTPException, ValueError, socket.timeout)
JSON = {"Content-Type": "application/json"}
# Of writes. What the server says happened to a request that it did not do: nothing.
NOTHING_HAPPENED = (429, 503, 507)


class Settings:
    """What all clients of one schedule share."""

    def __init__(self, cluster, namespace, keys, seed):
        self.cluster, self.namespace, self.keys, self.seed = cluster, namespace, keys, seed
        self.slots = [member.slot for member in cluster.members]
        self.maps = f"/api/v1/namespaces/{namespace}/configmaps"
        self.stop_writers, self.stop_watchers = threading.Event(), threading.Event()
        self.stale_reads = False  # planted: reads that may be old are recorded as if they might not


class Client(threading.Thread):
    def __init__(self, settings, name):
        super().__init__(name=name, daemon=True)
        self.settings, self.rng = settings, random.Random(f"{settings.seed}-{name}")
        self.ops, self.connections, self.avoid = [], {}, {}
        self.failure = None

    def run(self):
        try:
            self.work()
        except Exception as error:  # an error of the test itself: told by run.py
            self.failure = error
            raise
        finally:
            for slot in list(self.connections):
                self.drop(slot)

    def choose(self):
        now = time.monotonic()
        good = [slot for slot in self.settings.slots if self.avoid.get(slot, 0) < now]
        return self.rng.choice(good or self.settings.slots)

    def connect(self, slot):
        """None: nobody there."""
        if slot in self.connections:
            return self.connections[slot]
        try:
            connection = self.settings.cluster.connect(slot, CONNECT_S)
        except LOST:
            self.drop(slot)
            return None
        connection.sock.settimeout(ANSWER_S)
        self.connections[slot] = connection
        return connection

    def drop(self, slot):
        self.avoid[slot] = time.monotonic() + AVOID_S
        connection = self.connections.pop(slot, None)
        if connection is not None:
            connection.close()

    def ask(self, op, method, target, body=None, record=True):
        """Does the request and fills in times, outcome and reason. The parsed answer; None: there was none."""
        op.slot = self.choose()
        connection = self.connect(op.slot)
        if connection is None:
            time.sleep(0.01)
            return None  # nothing was sent: no operation
        if record:
            self.ops.append(op)
        op.began = time.monotonic_ns()
        try:
            connection.request(method, target, json.dumps(body) if body is not None else None, JSON if body is not None else {})
            response = connection.getresponse()
            answer = parse(response.read())
        except LOST as error:
            op.ended = time.monotonic_ns()
            op.outcome, op.reason = "unknown", type(error).__name__
            self.drop(op.slot)
            return None
        op.ended = time.monotonic_ns()
        self.judge(op, response.status, answer)
        return answer

    def judge(self, op, status, answer):
        if status < 300:
            op.outcome = "ok"
        elif status in NOTHING_HAPPENED:
            op.outcome, op.reason = "failed", f"{status} {answer.get('message', '')}"
            self.avoid[op.slot] = time.monotonic() + AVOID_S / 4
        elif status >= 500:  # 504: outcome unknown, so it says; others say nothing, which is no better
            op.outcome, op.reason = "unknown", f"{status} {answer.get('message', '')}"
        else:
            op.outcome, op.reason = "refused", answer.get("reason", str(status))

    def new_op(self, kind, key="", **more):
        self.count = getattr(self, "count", 0) + 1
        return Op(f"{self.name}-{self.count}", kind, key, **more)

    # --- one method a kind of request --------------------------------------------------------------
    def body(self, op):
        meta = {"name": op.key, **({"resourceVersion": str(op.expect)} if op.expect else {})}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta,
                "data": {"v": op.value, "padding": "x" * self.rng.randrange(2000)}}

    def write(self, kind, key, expect=0):
        op = self.new_op(kind, key, expect=expect)
        op.value = op.id
        method, target = ("POST", self.settings.maps) if kind == "create" else ("PUT", f"{self.settings.maps}/{key}")
        answer = self.ask(op, method, target, self.body(op))
        if op.outcome == "ok":
            op.revision = int(answer["metadata"]["resourceVersion"])
        return op

    def delete(self, key, expect):
        op = self.new_op("delete", key, expect=expect)
        self.ask(op, "DELETE", f"{self.settings.maps}/{key}",
                 {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": str(expect)}})
        return op

    def get(self, key):
        op = self.new_op("get", key)
        stale = "?resourceVersion=0" if self.settings.stale_reads else ""
        answer = self.ask(op, "GET", f"{self.settings.maps}/{key}{stale}")
        if op.outcome == "ok":
            op.revision, op.seen = int(answer["metadata"]["resourceVersion"]), answer["data"]["v"]
        return op

    def list(self, query="", fresh=True):
        op = self.new_op("list", fresh=fresh)
        answer = self.ask(op, "GET", self.settings.maps + query)
        if op.outcome == "ok":
            op.revision, op.items = int(answer["metadata"]["resourceVersion"]), items_of(answer)
        return op

    def paged_list(self):
        """One list, its second page from another server."""
        op = self.new_op("list")
        answer = self.ask(op, "GET", self.settings.maps + "?limit=5")
        if op.outcome != "ok":
            return op
        items, token = items_of(answer), answer["metadata"].get("continue")
        op.revision, op.items = int(answer["metadata"]["resourceVersion"]), items
        while token:
            page = Op(op.id, "list")
            answer = self.ask(page, "GET", f"{self.settings.maps}?limit=5&continue={token}", record=False)
            if page.outcome != "ok":  # half a list says nothing
                op.outcome, op.reason = "refused" if page.outcome == "refused" else "unknown", page.reason
                return op
            op.ended = page.ended
            items.update(items_of(answer))
            token = answer["metadata"].get("continue")
        return op


def parse(body):
    """The answer; of a server that is still starting it is a line of text."""
    try:
        return json.loads(body)
    except ValueError:
        return {"message": body.decode(errors="replace")}


def items_of(answer):
    return {item["metadata"]["name"]: (int(item["metadata"]["resourceVersion"]), item["data"]["v"])
            for item in answer["items"] if "v" in item.get("data", {})}


class Writer(Client):
    """Keeps what it last saw of each key, to swap it; others do the same, so that conflicts are common."""

    def __init__(self, settings, name):
        super().__init__(settings, name)
        self.known = {}  # key -> revision; 0: absent
        self.newest = 0

    def work(self):
        while not self.settings.stop_writers.is_set():
            self.note(self.step(self.rng.choice(self.settings.keys)))
            time.sleep(self.rng.random() * PAUSE_S)

    def step(self, key):
        dice = self.rng.randrange(100)
        if dice < 22 or key not in self.known:
            return self.get(key)
        if dice < 28:
            return self.paged_list() if dice < 24 else self.list()
        if dice < 30:
            return self.list("?resourceVersion=0", fresh=False)
        if dice < 33 and self.newest:
            return self.list(f"?resourceVersion={self.newest}&resourceVersionMatch=NotOlderThan", fresh=False)
        known = self.known[key]
        if known == 0:
            return self.write("create", key)
        if dice < 42:
            return self.delete(key, known)
        return self.write("put", key) if dice < 60 else self.write("update", key, known)

    def note(self, op):
        if op.outcome == "ok":
            self.newest = max(self.newest, op.revision)
            for key, (revision, _) in op.items.items():
                self.known[key] = revision
            if op.key:
                self.known[op.key] = op.revision  # of a delete: 0
        elif op.reason == "NotFound":
            self.known[op.key] = 0
        elif op.outcome != "failed":
            self.known.pop(op.key, None)


class Watcher(Client):
    """One logical watch: a list, then events, resumed elsewhere whenever the connection ends or falls silent."""

    def __init__(self, settings, name, only=""):
        super().__init__(settings, name)
        self.only, self.streams, self.resumed, self.expired = only, [], 0, 0

    def reached(self):
        return self.streams[-1].reached() if self.streams else 0

    def work(self):
        while not self.settings.stop_watchers.is_set():
            stream = self.streams[-1] if self.streams else None
            if stream is None or not stream.last:
                self.begin()
            else:
                self.follow(stream)

    def begin(self):
        op = self.list()
        if op.outcome == "ok":
            self.streams.append(Stream(self.name, op.revision, self.only))

    def follow(self, stream):
        slot = self.choose()
        connection = self.connect(slot)
        if connection is None:
            return time.sleep(0.01)
        connection.sock.settimeout(STREAM_S)
        only = f"&fieldSelector=metadata.name%3D{self.only}" if self.only else ""
        leave_at = time.monotonic() + self.rng.uniform(0.5, 4)
        try:
            connection.request("GET", f"{self.settings.maps}?watch=1&resourceVersion={stream.reached()}"
                               f"&allowWatchBookmarks=true{only}")
            response = connection.getresponse()
            if response.status == 410:
                self.lose_place(stream)
            while response.status == 200 and time.monotonic() < leave_at and not self.settings.stop_watchers.is_set():
                line = response.readline()
                if not line or not self.take(stream, json.loads(line)):
                    break
        except LOST:
            pass
        self.drop(slot)
        self.resumed += 1

    def take(self, stream, event):
        meta = event["object"].get("metadata", {})
        if event["type"] == "ERROR":
            if event["object"].get("code") == 410:
                self.lose_place(stream)
            return False
        if event["type"] == "BOOKMARK":
            stream.bookmarks.append((len(stream.events), int(meta["resourceVersion"])))
        elif meta["name"] in self.settings.keys:
            stream.events.append(Event(int(meta["resourceVersion"]), event["type"], meta["name"],
                                       event["object"]["data"]["v"], time.monotonic_ns()))
        return True

    def lose_place(self, stream):
        stream.last = False
        self.expired += 1
