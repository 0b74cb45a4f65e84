"""What was asked, what was answered and what was seen, as the checker needs it. Times are of one clock, in ns."""
import dataclasses
import json
from dataclasses import dataclass, field

WRITES = ("create", "update", "put", "delete")


@dataclass(slots=True)
class Op:
    """One request. `kind`: create, update (compare-and-swap of `expect`), put (whatever is there), delete (of the version
    `expect`), get, list.

    `outcome`: ok; refused (it was looked at, and the state forbade it: `reason` says how); failed (surely not done);
    unknown (perhaps done: no answer, or 504)."""
    id: str
    kind: str
    key: str = ""
    value: str = ""           # of a write: unique
    expect: int = 0           # the revision that it is about; 0: none
    fresh: bool = True        # of a read: must see everything that was acknowledged before
    slot: int = 0             # of the api-server that was asked
    began: int = 0
    ended: int = 0
    outcome: str = "unknown"
    reason: str = ""          # refused: AlreadyExists, Conflict, NotFound; else what went wrong
    revision: int = 0         # ok: of the write; of what was read
    seen: str = ""            # ok, get: the value
    items: dict = field(default_factory=dict)  # ok, list: key -> (revision, value)


@dataclass(slots=True)
class Event:
    revision: int
    type: str  # ADDED, MODIFIED, DELETED
    key: str
    value: str  # DELETED: the last one
    at: int


@dataclass(slots=True)
class Stream:
    """What a watcher saw since one list, over however many connections."""
    watcher: str
    start: int                 # revision of the list
    only: str = ""             # the one key that was asked for; empty: all
    events: list = field(default_factory=list)
    bookmarks: list = field(default_factory=list)  # (number of events before it, revision)
    last: bool = True          # false: it was told that its place is gone (410), and began anew

    def reached(self):
        newest = self.events[-1].revision if self.events else self.start
        return max(newest, self.bookmarks[-1][1] if self.bookmarks else 0)


@dataclass(slots=True)
class History:
    ops: list = field(default_factory=list)
    streams: list = field(default_factory=list)
    finals: dict = field(default_factory=dict)  # slot -> (revision, items), all asked for the same revision
    final_revision: int = 0                     # of the last write; every watcher must get there

    def save(self, path):
        with open(path, "w") as file:
            json.dump(dataclasses.asdict(self), file)

    @staticmethod
    def load(path):
        with open(path) as file:
            raw = json.load(file)
        pairs = lambda items: {k: tuple(v) for k, v in items.items()}  # noqa: E731
        ops = [Op(**{**op, "items": pairs(op["items"])}) for op in raw["ops"]]
        streams = [Stream(**{**s, "events": [Event(**e) for e in s["events"]],
                             "bookmarks": [tuple(b) for b in s["bookmarks"]]}) for s in raw["streams"]]
        finals = {int(slot): (revision, pairs(items)) for slot, (revision, items) in raw["finals"].items()}
        return History(ops, streams, finals, raw["final_revision"])
