#!/usr/bin/env python3
"""The checker accepts what a linearizable store does, and refuses each thing that such a store would never do."""
import copy
import pathlib
import random
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from checker import check_history  # noqa: E402
from history import Event, History, Op, Stream  # noqa: E402


def good():
    """Two keys, four writers, two watchers; times are ten apart, revisions begin behind 10."""
    ops = [
        Op("w1", "create", "a", "v1", slot=1, began=10, ended=20, outcome="ok", revision=11),
        Op("w2", "update", "a", "v2", expect=11, slot=2, began=30, ended=40, outcome="ok", revision=12),
        Op("r1", "get", "a", slot=3, began=50, ended=60, outcome="ok", revision=12, seen="v2"),
        Op("w3", "create", "b", "v3", slot=1, began=50, ended=65, outcome="ok", revision=14),
        Op("w4", "update", "a", "v4", expect=11, slot=1, began=70, ended=80, outcome="refused", reason="Conflict"),
        Op("w5", "put", "a", "v5", slot=1, began=81, ended=89, outcome="unknown"),
        Op("l1", "list", slot=2, began=90, ended=100, outcome="ok", revision=16, items={"a": (16, "v5"), "b": (14, "v3")}),
        Op("d1", "delete", "b", expect=14, slot=3, began=110, ended=120, outcome="ok"),
        Op("r2", "get", "b", slot=1, began=130, ended=140, outcome="refused", reason="NotFound"),
        Op("w6", "create", "a", "v6", slot=1, began=130, ended=140, outcome="refused", reason="AlreadyExists"),
        Op("w7", "put", "a", "v7", slot=2, began=150, ended=160, outcome="failed", reason="503"),
        Op("w8", "put", "a", "v8", slot=2, began=150, ended=160, outcome="unknown"),
        Op("w9", "update", "a", "v9", expect=16, slot=2, began=170, ended=180, outcome="ok", revision=20),
    ]
    events = [Event(11, "ADDED", "a", "v1", 15), Event(12, "MODIFIED", "a", "v2", 35), Event(14, "ADDED", "b", "v3", 62),
              Event(16, "MODIFIED", "a", "v5", 88), Event(18, "DELETED", "b", "v3", 118), Event(20, "MODIFIED", "a", "v9", 175)]
    streams = [Stream("s1", 10, "", copy.deepcopy(events), [(2, 13), (6, 21)]),
               Stream("s2", 10, "b", [copy.deepcopy(e) for e in events if e.key == "b"], [(1, 14), (2, 20)])]
    finals = {slot: (20, {"a": (20, "v9")}) for slot in (1, 2, 3)}
    return History(ops, streams, finals, 20)


class Rules(unittest.TestCase):
    def setUp(self):
        self.history = good()

    def op(self, name):
        return next(op for op in self.history.ops if op.id == name)

    def refuse(self, rule):
        found = check_history(self.history)
        self.assertTrue(any(text.startswith(rule + ":") for text in found), f"not refused by '{rule}': {found}")

    def drop_event(self, revision):
        for stream in self.history.streams:
            stream.events = [event for event in stream.events if event.revision != revision]
            stream.bookmarks = []

    def test_a_good_history_is_accepted(self):
        self.assertEqual(check_history(self.history), [])

    def test_it_is_the_same_after_saving_and_loading(self):
        with tempfile.NamedTemporaryFile() as file:
            self.history.save(file.name)
            self.assertEqual(History.load(file.name), self.history)

    # --- writes ----------------------------------------------------------------------------------
    def test_an_acknowledged_write_that_nobody_saw(self):
        self.op("w9").revision = 19
        self.refuse("no lost write")

    def test_an_acknowledged_write_that_is_gone(self):
        self.drop_event(20)
        self.refuse("no lost write")

    def test_an_acknowledged_delete_that_is_gone(self):
        self.drop_event(18)
        self.refuse("no lost write")

    def test_one_revision_for_two_writes(self):
        self.op("w3").revision = 12
        self.refuse("no lost write")

    def test_one_version_deleted_twice(self):
        self.history.ops.append(Op("d2", "delete", "b", expect=14, slot=1, began=111, ended=121, outcome="ok"))
        self.refuse("exactly once")

    def test_one_write_done_twice(self):
        for stream in self.history.streams[:1]:
            stream.events.insert(5, Event(19, "MODIFIED", "a", "v5", 170))
        self.refuse("exactly once")

    def test_a_value_that_nobody_wrote(self):
        self.history.streams[0].events[3].value = "v99"
        self.refuse("no inventions")

    def test_a_delete_that_nobody_asked_for(self):
        self.history.ops.remove(self.op("d1"))
        self.refuse("no inventions")

    def test_a_write_that_was_told_to_have_failed(self):
        self.op("w5").outcome = "failed"
        self.refuse("honest failures")

    def test_a_delete_that_was_told_to_have_failed(self):
        self.op("d1").outcome = "failed"
        self.refuse("honest failures")

    def test_a_swap_that_was_refused_and_done(self):
        self.op("w9").outcome, self.op("w9").reason = "refused", "Conflict"
        self.refuse("honest failures")

    def test_a_swap_of_another_version(self):
        self.op("w9").expect = 12
        self.refuse("preconditions")

    def test_a_create_over_what_was_there(self):
        self.op("w9").kind = "create"
        self.refuse("preconditions")

    def test_a_put_of_what_was_absent(self):
        self.op("w3").kind = "put"
        self.refuse("preconditions")

    def test_an_answer_that_makes_no_sense(self):
        self.op("r2").reason = "Invalid"
        self.refuse("answers")

    # --- real time -----------------------------------------------------------------------------------
    def test_a_read_of_what_was_overwritten_before(self):
        self.op("r1").revision, self.op("r1").seen = 11, "v1"
        self.refuse("linearizability")

    def test_a_read_beside_the_write_may_see_either(self):
        self.op("r1").began, self.op("r1").revision, self.op("r1").seen = 38, 11, "v1"
        for event in self.history.streams[0].events[:2]:
            event.at = 61  # nobody had seen the second one
        self.assertEqual(check_history(self.history), [])

    def test_a_read_that_denies_what_a_watcher_has_seen(self):
        self.op("w2").ended = 55  # the write was not answered yet
        self.op("r1").revision, self.op("r1").seen = 11, "v1"
        self.refuse("linearizability")

    def test_a_read_that_finds_nothing_after_the_write(self):
        self.op("r2").key = "a"
        self.refuse("linearizability")

    def test_a_create_that_is_refused_where_nothing_was(self):
        self.op("w6").key = "b"
        self.refuse("linearizability")

    def test_a_conflict_without_another_version(self):
        self.op("w4").expect = 12
        self.refuse("linearizability")

    def test_a_list_that_is_older_than_what_was_answered(self):
        self.op("l1").revision, self.op("l1").items = 13, {"a": (12, "v2")}
        self.refuse("linearizability")

    def test_the_same_list_where_any_age_will_do(self):
        self.op("l1").revision, self.op("l1").items, self.op("l1").fresh = 13, {"a": (12, "v2")}, False
        self.assertEqual(check_history(self.history), [])

    def test_a_write_at_a_revision_before_one_that_was_answered(self):
        self.op("w3").began, self.op("w3").ended = 200, 210  # began last, revision 14
        self.history.streams[0].events[2].at = self.history.streams[1].events[0].at = 205
        self.refuse("linearizability")

    def test_an_unknown_write_that_takes_effect_in_the_past(self):
        self.op("w5").began, self.op("w5").ended = 172, 176  # at revision 16, and 18 was answered before
        self.refuse("linearizability")

    def test_reads_that_go_back_in_time(self):
        self.op("w5").ended = 1000
        self.history.ops += [
            Op("r8", "get", "a", slot=1, began=82, ended=83, outcome="ok", revision=16, seen="v5"),
            Op("r9", "get", "a", slot=2, began=84, ended=85, outcome="ok", revision=12, seen="v2")]
        self.refuse("linearizability")

    def test_an_event_before_its_write(self):
        self.history.streams[0].events[0].at = 5
        self.refuse("no future")

    def test_a_read_of_a_value_at_a_revision_that_it_never_had(self):
        self.op("r1").seen = "v1"
        self.refuse("no inventions")

    # --- lists ---------------------------------------------------------------------------------------
    def test_a_list_that_mixes_two_revisions(self):
        self.op("l1").items = {"a": (12, "v2"), "b": (14, "v3")}
        self.refuse("lists")

    def test_a_list_that_lacks_a_key(self):
        del self.op("l1").items["b"]
        self.refuse("lists")

    def test_a_list_with_a_key_that_was_deleted(self):
        self.history.finals[2] = (20, {"a": (20, "v9"), "b": (14, "v3")})
        self.refuse("lists")

    def test_members_that_end_apart(self):
        self.history.finals[3] = (18, {"a": (16, "v5")})
        self.refuse("agreement")

    # --- watches -------------------------------------------------------------------------------------
    def test_two_watchers_that_see_two_things(self):
        self.history.streams[1].events[0].value = "v1"
        self.refuse("one history")

    def test_an_event_out_of_order(self):
        events = self.history.streams[0].events
        events[1], events[2] = events[2], events[1]
        self.refuse("watch order")

    def test_an_event_twice(self):
        self.history.streams[0].events.insert(2, copy.deepcopy(self.history.streams[0].events[1]))
        self.refuse("watch order")

    def test_an_event_from_before_the_list(self):
        self.history.streams[0].start = 11
        self.refuse("watch order")

    def test_a_gap(self):
        del self.history.streams[1].events[0]
        self.history.streams[1].bookmarks = []
        self.refuse("watch gaps")

    def test_a_gap_behind_a_bookmark(self):
        self.history.streams[1].bookmarks, self.history.streams[1].events = [(0, 16)], []
        self.refuse("watch gaps")

    def test_a_bookmark_before_its_events(self):
        self.history.streams[0].bookmarks[0] = (2, 14)
        self.refuse("bookmarks")

    def test_a_bookmark_that_goes_back(self):
        self.history.streams[0].bookmarks[1] = (6, 18)
        self.refuse("bookmarks")

    def test_another_key_than_was_asked_for(self):
        self.history.streams[1].only = "a"
        self.refuse("watch filter")

    def test_a_watcher_that_never_gets_there(self):
        del self.history.streams[1].events[1]
        self.history.streams[1].bookmarks = []
        self.refuse("watch progress")

    def test_a_watcher_whose_place_was_forgotten(self):
        self.history.streams[1].last = False
        self.refuse("watch resume")

    def test_an_added_that_was_there(self):
        self.history.streams[0].events[1].type = "ADDED"
        self.refuse("events")

    def test_a_modified_that_was_not(self):
        self.history.streams[0].events[0].type = "MODIFIED"
        self.refuse("events")

    def test_last_words_that_were_not_the_last(self):
        for stream, at in ((0, 4), (1, 1)):
            self.history.streams[stream].events[at].value = "v1"
        self.refuse("events")


class Store:
    """A store that does everything at one moment, and clients that are told late, wrongly never."""

    def __init__(self, seed):
        self.rng, self.time, self.revision, self.keys = random.Random(seed), 0, 100, {}
        self.ops, self.events = [], []

    def run(self, n):
        for i in range(n):
            self.time += self.rng.randrange(1, 20)
            kind = self.rng.choice(("create", "update", "put", "delete", "get", "list"))
            self.step(Op(f"op{i}", kind, self.rng.choice("abc"), began=self.time - self.rng.randrange(60),
                         ended=self.time + self.rng.randrange(1, 60)))
        goal = self.events[-1].revision
        streams = [Stream(f"s{n}", 100, only, [self.late(e) for e in self.events if only in ("", e.key)])
                   for n, only in enumerate(("", "", "b"))]
        for stream in streams:
            stream.bookmarks = [(len(stream.events), goal)]
        return History(self.ops, streams, {slot: (self.revision, dict(self.keys)) for slot in (1, 2, 3)}, goal)

    def late(self, event):
        return Event(event.revision, event.type, event.key, event.value, event.at + self.rng.randrange(30))

    def step(self, op):
        now = self.keys.get(op.key)
        op.value = op.id if op.kind in ("create", "update", "put") else ""
        if op.kind in ("update", "delete"):
            op.expect = now[0] if now and self.rng.random() < 0.7 else self.rng.randrange(100, self.revision + 1)
        self.ops.append(op)
        op.outcome = "ok"
        if op.kind == "list":
            op.key, op.revision, op.items = "", self.revision, dict(self.keys)
        elif op.kind == "create" and now:
            op.outcome, op.reason = "refused", "AlreadyExists"
        elif op.kind != "create" and not now:
            op.outcome, op.reason = "refused", "NotFound"
        elif op.expect and op.expect != now[0]:
            op.outcome, op.reason = "refused", "Conflict"
        elif op.kind == "get":
            op.revision, op.seen = now
        else:
            self.change(op, now)

    def change(self, op, now):
        self.revision += self.rng.randrange(1, 4)
        if op.kind == "delete":
            del self.keys[op.key]
            self.events.append(Event(self.revision, "DELETED", op.key, now[1], self.time))
        else:
            op.revision, self.keys[op.key] = self.revision, (self.revision, op.value)
            self.events.append(Event(self.revision, "MODIFIED" if now else "ADDED", op.key, op.value, self.time))
        if self.rng.random() < 0.1:
            op.outcome, op.revision = "unknown", 0


class Random(unittest.TestCase):
    def test_histories_of_a_store_without_faults_are_accepted(self):
        for seed in range(200):
            self.assertEqual(check_history(Store(seed).run(150)), [], f"seed {seed}")

    def test_a_read_moved_into_the_past_is_refused(self):
        refused = tried = 0
        for seed in range(200):
            history = Store(seed).run(150)
            reads = [op for op in history.ops if op.kind == "list"]
            old, late = reads[0], reads[-1]
            if old.revision == late.revision:
                continue
            tried += 1
            late.revision, late.items = old.revision, old.items
            refused += bool(check_history(history))
        self.assertGreater(tried, 150)
        self.assertEqual(refused, tried)

    def test_a_lost_write_is_refused(self):
        for seed in range(200):
            history = Store(seed).run(150)
            lost = next(op for op in history.ops if op.kind in ("create", "put") and op.outcome == "ok")
            for stream in history.streams:
                stream.events = [e for e in stream.events if e.revision != lost.revision]
                stream.bookmarks = []
            self.assertTrue(check_history(history), f"seed {seed}")


if __name__ == "__main__":
    unittest.main()
