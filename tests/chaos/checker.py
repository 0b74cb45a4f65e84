"""Whether a history can be one of a linearizable store with exact watches. Pure: a History in, violations out.

Every change has a revision, and watchers see every change: so the order of all changes is known, and with it the state as
of every revision. What is left to decide is where each request took effect. A write: at its revision. Anything else:
at some revision at which the state was as it was told. Requests are placed in the order in which they began, each as early
as the ones allow that had ended before: an earlier place never takes anything away from a later request, so this greedy
choice finds a placement whenever there is one, and there is no search that could end undecided. What cannot be decided
because no watcher covered it counts as a violation.
"""
import bisect
import heapq
import sys
from collections import defaultdict
from dataclasses import dataclass

from history import WRITES, History

MAX_VIOLATIONS = 20
INFINITE = sys.maxsize


@dataclass(slots=True)
class Change:
    revision: int
    key: str
    type: str
    value: str
    seen_at: int
    before: int = 0  # the revision of what it replaced; 0: nothing was there
    op: object = None


class Checker:
    def __init__(self, history):
        self.history = history
        self.violations = []
        self.changes = {}                   # revision -> Change
        self.versions = defaultdict(list)   # key -> [(revision, value or None)], ascending
        self.deletes = defaultdict(list)    # (key, revision of what was deleted) -> the delete operations of it
        self.by_value = {}                  # (key, value) -> the operation that wrote it

    def wrong(self, rule, text):
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(f"{rule}: {text}")

    def check(self):
        self.index_operations()
        self.collect_changes()
        self.explain_changes()
        self.check_acknowledged()
        self.check_streams()
        self.check_lists()
        self.place_in_time()
        self.check_finals()
        return self.violations

    # --- one history ---------------------------------------------------------------------------
    def index_operations(self):
        for op in self.history.ops:
            if op.kind == "delete":
                self.deletes[op.key, op.expect].append(op)
            elif op.kind in WRITES:
                self.by_value[op.key, op.value] = op

    def collect_changes(self):
        """All watchers together know every change; none contradicts another one."""
        for stream in self.history.streams:
            for event in stream.events:
                known = self.changes.get(event.revision)
                if known is None:
                    self.changes[event.revision] = Change(event.revision, event.key, event.type, event.value, event.at)
                    continue
                known.seen_at = min(known.seen_at, event.at)
                if (known.key, known.type, known.value) != (event.key, event.type, event.value):
                    self.wrong("one history", f"revision {event.revision} is {known.type} {known.key}={known.value} and, for "
                               f"{stream.watcher}, {event.type} {event.key}={event.value}")

    def explain_changes(self):
        """Each change was asked for, once, by somebody who could, and its precondition held."""
        written = {}
        for revision in sorted(self.changes):
            change = self.changes[revision]
            versions = self.versions[change.key]
            before_revision, before_value = versions[-1] if versions else (0, None)
            change.before = before_revision if before_value is not None else 0
            self.check_type(change, before_value)
            if change.type == "DELETED":
                change.op = self.deleter_of(change)
                versions.append((revision, None))
            else:
                change.op = self.writer_of(change, written)
                versions.append((revision, change.value))
            if change.op is not None and change.seen_at < change.op.began:
                self.wrong("no future", f"{change.op.id} was seen at revision {revision} before it was asked for")

    def check_type(self, change, before):
        what = f"revision {change.revision}: {change.type} of {change.key}"
        if (change.type == "ADDED") != (before is None):
            self.wrong("events", f"{what}, which was {'absent' if before is None else 'there'}")
        if change.type == "DELETED" and before is not None and change.value != before:
            self.wrong("events", f"{what} tells of {change.value}, the last value was {before}")

    def writer_of(self, change, written):
        what = f"{change.key}={change.value} at revision {change.revision}"
        op = self.by_value.get((change.key, change.value))
        if op is None:
            self.wrong("no inventions", f"nobody wrote {what}")
            return None
        if op.id in written:
            self.wrong("exactly once", f"{what} was written at revision {written[op.id]} already")
            return None
        written[op.id] = change.revision
        if op.outcome in ("failed", "refused"):
            self.wrong("honest failures", f"{what} happened; {op.id} was told that it did not: {op.reason}")
        held = {"create": change.before == 0, "update": change.before == op.expect, "put": change.before != 0}[op.kind]
        if not held:
            self.wrong("preconditions", f"{what}: a {op.kind} (of revision {op.expect}) over revision {change.before}")
        return op

    def deleter_of(self, change):
        candidates = self.deletes.get((change.key, change.before), [])
        able = [op for op in candidates if op.outcome in ("ok", "unknown")]
        if able:
            return next((op for op in able if op.outcome == "ok"), min(able, key=lambda op: op.began))
        if candidates:
            self.wrong("honest failures", f"{change.key} was deleted at revision {change.revision}; {candidates[0].id} was "
                       f"told that it did not: {candidates[0].reason}")
        else:
            self.wrong("no inventions", f"nobody deleted revision {change.before} of {change.key}")
        return None

    def check_acknowledged(self):
        """What was acknowledged is in the history, as it was acknowledged."""
        deleted = {(c.key, c.before) for c in self.changes.values() if c.type == "DELETED"}
        for op in self.history.ops:
            if op.outcome == "refused" and op.reason not in ("AlreadyExists", "Conflict", "NotFound"):
                self.wrong("answers", f"{describe(op)} makes no sense")
            change = self.changes.get(op.revision)
            known = change is not None and (change.key, change.value) == (op.key, op.seen)
            if op.outcome == "ok" and op.kind == "get" and not known:
                self.wrong("no inventions", f"{describe(op)} saw {op.seen}, which was never that")
            if op.outcome != "ok" or op.kind not in ("create", "update", "put"):
                continue
            if change is None:
                self.wrong("no lost write", f"{op.id} ({op.key}={op.value}) was acknowledged at revision {op.revision}, which "
                           "no watcher saw")
            elif change.op is not op:
                self.wrong("no lost write", f"{op.id} was acknowledged at revision {op.revision}, which is {change.type} "
                           f"{change.key}={change.value}")
        for (key, expect), ops in self.deletes.items():
            acknowledged = [op for op in ops if op.outcome == "ok"]
            if acknowledged and (key, expect) not in deleted:
                self.wrong("no lost write", f"{acknowledged[0].id} deleted revision {expect} of {key}, and no watcher saw it")
            if len(acknowledged) > 1:
                self.wrong("exactly once", f"{acknowledged[0].id} and {acknowledged[1].id} both deleted revision {expect} "
                           f"of {key}")

    # --- the state as of a revision ------------------------------------------------------------
    def state_at(self, key, revision):
        """(revision, value) of that key then; None: absent."""
        versions = self.versions.get(key, [])
        at = bisect.bisect_right(versions, revision, key=lambda v: v[0]) - 1
        return versions[at] if at >= 0 and versions[at][1] is not None else None

    def all_at(self, revision):
        states = {key: self.state_at(key, revision) for key in self.versions}
        return {key: state for key, state in states.items() if state is not None}

    def check_lists(self):
        for op in self.history.ops:
            if op.kind == "list" and op.outcome == "ok":
                self.compare_list(op.id, op.revision, op.items)

    def compare_list(self, who, revision, items):
        wanted = self.all_at(revision)
        for key in sorted(wanted.keys() | items.keys()):
            if wanted.get(key) != items.get(key):
                self.wrong("lists", f"{who} at revision {revision} has {key}: {items.get(key)}, then it was {wanted.get(key)}")
                return

    def check_finals(self):
        for slot, (revision, items) in sorted(self.history.finals.items()):
            self.compare_list(f"in the end the list of member {slot}", revision, items)
        if len({revision for revision, _ in self.history.finals.values()}) > 1:
            self.wrong("agreement", f"members were to list one revision: {self.history.finals}")

    # --- watches ---------------------------------------------------------------------------------
    def check_streams(self):
        revisions = sorted(self.changes)
        for stream in self.history.streams:
            position = stream.start
            for event in stream.events:
                if event.revision <= position:
                    self.wrong("watch order", f"{stream.watcher} got revision {event.revision} after {position}")
                position = max(position, event.revision)
                if stream.only and event.key != stream.only:
                    self.wrong("watch filter", f"{stream.watcher} asked for {stream.only} and got {event.key}")
            for seen, revision in stream.bookmarks:
                if seen < len(stream.events) and stream.events[seen].revision <= revision:
                    self.wrong("bookmarks", f"{stream.watcher} was at {revision}, then got {stream.events[seen].revision}")
                if seen > 0 and stream.events[seen - 1].revision > revision:
                    self.wrong("bookmarks", f"{stream.watcher} was sent back to {revision}")
            self.check_complete(stream, revisions)

    def check_complete(self, stream, revisions):
        got = {event.revision for event in stream.events}
        first, end = bisect.bisect_right(revisions, stream.start), bisect.bisect_right(revisions, stream.reached())
        for revision in revisions[first:end]:
            if revision not in got and stream.only in ("", self.changes[revision].key):
                self.wrong("watch gaps", f"{stream.watcher} went from {stream.start} to {stream.reached()} without {revision}")
                return
        if not stream.last:
            self.wrong("watch resume", f"{stream.watcher} lost its place at {stream.reached()}, long before it may be "
                       "forgotten")
            return
        missing = [r for r in revisions[end:] if stream.only in ("", self.changes[r].key)]
        if missing and missing[0] <= self.history.final_revision:
            self.wrong("watch progress", f"{stream.watcher} stayed at {stream.reached()}; {missing[0]} never came")

    # --- real time -------------------------------------------------------------------------------
    def place_in_time(self):
        """Whoever begins after another one ended sees at least what that one did."""
        ended = [(event.at, event.revision, stream.watcher) for stream in self.history.streams for event in stream.events]
        heapq.heapify(ended)
        happened = {change.op.id: change.revision for change in self.changes.values() if change.op is not None}
        floor, by = 0, "nothing"
        for op in sorted(self.history.ops, key=lambda op: op.began):
            while ended and ended[0][0] < op.began:
                _, revision, who = heapq.heappop(ended)
                if revision > floor:
                    floor, by = revision, who
            place = self.place(op, floor, happened)
            if place is None:
                self.wrong("linearizability", f"{describe(op)} is older than revision {floor}, which {by} had been told before")
            elif place >= 0 and op.outcome != "unknown":
                heapq.heappush(ended, (op.ended, place, op.id))

    def place(self, op, floor, happened):
        """The earliest revision, at or after `floor`, at which `op` can have taken effect. -1: it tells nothing; None: there
        is none."""
        if op.id in happened:
            return happened[op.id] if happened[op.id] > floor else None
        if op.outcome == "ok" and op.kind in WRITES:
            return -1  # reported already: it is not in the history
        if op.outcome == "ok" and op.kind == "list":
            return op.revision if op.revision >= floor or not op.fresh else None
        test = self.what_it_saw(op)
        return -1 if test is None else self.first_place(op.key, floor if op.fresh else 0, test)

    @staticmethod
    def what_it_saw(op):
        """A predicate on the key's state ((revision, value), or None); None: the answer tells nothing."""
        if op.outcome == "ok" and op.kind == "get":
            return lambda state: state == (op.revision, op.seen)
        if op.outcome != "refused":
            return None
        if op.reason == "NotFound":
            return lambda state: state is None
        if op.reason == "AlreadyExists":
            return lambda state: state is not None
        if op.reason == "Conflict" and op.expect:
            return lambda state: state is not None and state[0] != op.expect
        return None

    def first_place(self, key, floor, test):
        versions = self.versions.get(key, [])
        segments = [(0, None)] + [(r, (r, v) if v is not None else None) for r, v in versions]
        for i, (start, state) in enumerate(segments):
            end = segments[i + 1][0] - 1 if i + 1 < len(segments) else INFINITE
            if end >= floor and test(state):
                return max(start, floor)
        return None


def describe(op):
    about = f" of revision {op.expect}" if op.expect else ""
    told = op.reason if op.outcome == "refused" else f"revision {op.revision}"
    return f"{op.id}: {op.kind} {op.key}{about} at member {op.slot}, which was told {told},"


def check_history(history):
    return Checker(history).check()


if __name__ == "__main__":  # a history that a failed run left behind
    found = check_history(History.load(sys.argv[1]))
    print("\n".join(found) or "no violation")
    sys.exit(1 if found else 0)
