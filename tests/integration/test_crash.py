#!/usr/bin/env python3
"""kill -9 of the api-server, 50 times under write load: no acknowledged write is lost, no revision is used twice, and a
watch that resumes after each kill sees every change once, in order."""
import threading

from server import *

KILLS = int(os.environ.get("COXSWAIN_KILLS", "50"))


class Writer(threading.Thread):
    """Creates and changes ConfigMaps until told to stop; remembers what was acknowledged."""

    def __init__(self, s, name):
        super().__init__()
        self.s, self.name_prefix, self.stop = s, name, threading.Event()
        self.acknowledged = {}  # name -> (revision, n)

    def run(self):
        connection, n, name = None, 0, ""
        while not self.stop.is_set():
            try:
                connection = connection or self.s.connect(timeout=5)
                n += 1
                if n % 4:  # a new one, or the last one changed
                    name = f"{self.name_prefix}{n}"
                    answer = self.s.call("POST", MAPS, {"metadata": {"name": name}, "data": {"n": str(n)}}, connection=connection)
                else:
                    answer = self.s.call("PUT", f"{MAPS}/{name}", {"metadata": {"name": name}, "data": {"n": str(n)}},
                                         connection=connection)
                if answer.status in (200, 201):
                    self.acknowledged[name] = (int(answer.json()["metadata"]["resourceVersion"]), str(n))
            except (OSError, ssl.SSLError, http.client.HTTPException, ValueError):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.01)


class Follower(threading.Thread):
    """One logical watch over all restarts, from where it was."""

    def __init__(self, s, revision):
        super().__init__()
        self.s, self.revision, self.stop = s, revision, threading.Event()
        self.seen, self.wrong = [], []  # (revision, name, n)

    def run(self):
        while not self.stop.is_set():
            try:
                watch = Watch(self.s, f"{MAPS}?watch=1&resourceVersion={self.revision}", seconds=2)
                if watch.status != 200:
                    if watch.status != 503:  # it is starting
                        self.wrong.append(watch.next())
                        return
                    time.sleep(0.01)
                    continue
                while (event := watch.next()) is not None:
                    metadata = event["object"]["metadata"]
                    revision = int(metadata["resourceVersion"])
                    if event["type"] == "ERROR":
                        self.wrong.append(event)
                        return
                    if revision <= self.revision:
                        self.wrong.append((revision, "after", self.revision))
                    self.revision = revision
                    self.seen.append((revision, metadata["name"], event["object"].get("data", {}).get("n")))
            except (OSError, ssl.SSLError, http.client.HTTPException, ValueError):
                time.sleep(0.01)


def test_kill_9_under_write_load(s):
    start = int(s.call("GET", MAPS).json()["metadata"]["resourceVersion"])
    writers, follower = [Writer(s, f"w{i}-") for i in range(4)], Follower(s, start)
    for thread in [*writers, follower]:
        thread.start()
    for _ in range(KILLS):
        time.sleep(0.12)
        s.stop(signal.SIGKILL)
        s.start()
    time.sleep(0.2)
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join()
    listed = s.call("GET", MAPS).json()
    last = int(listed["metadata"]["resourceVersion"])
    stored = {i["metadata"]["name"]: (int(i["metadata"]["resourceVersion"]), i.get("data", {}).get("n")) for i in listed["items"]}
    wait_until("the watch catches up", 20, lambda: follower.revision >= max(r for r, _ in stored.values()))
    follower.stop.set()
    follower.join()

    acknowledged = {name: got for writer in writers for name, got in writer.acknowledged.items()}
    lost = {name: got for name, got in acknowledged.items() if name not in stored or stored[name][0] < got[0]}
    equal(lost, {}, "acknowledged writes that were lost")
    changed = {n: (acknowledged[n], stored[n]) for n in acknowledged
               if stored[n][0] == acknowledged[n][0] and stored[n] != acknowledged[n]}
    equal(changed, {}, "acknowledged writes with another content")
    revisions = [revision for revision, _ in stored.values()]
    equal(len(revisions), len(set(revisions)), "revisions used once")
    check(max(revisions) <= last, "no object is newer than the list")
    equal(follower.wrong, [], "events in order")
    equal(len({r for r, _, _ in follower.seen}), len(follower.seen), "each change seen once")
    final = {name: (revision, n) for revision, name, n in follower.seen}
    wanted = {name: got for name, got in stored.items() if got[0] > start}
    equal({n: (final.get(n), got) for n, got in wanted.items() if final.get(n) != got}, {}, "what the watch ended with")
    seen = set(follower.seen)
    missed = [(name, got) for name, got in acknowledged.items() if (got[0], name, got[1]) not in seen]
    equal(missed, [], "acknowledged writes the watch did not see")
    print(f"        {KILLS} kills, {len(acknowledged)} objects acknowledged, {len(stored)} stored, {len(follower.seen)} events")
    check(len(acknowledged) > KILLS * 5, f"there was load: {len(acknowledged)}")


if __name__ == "__main__":
    main(globals())
