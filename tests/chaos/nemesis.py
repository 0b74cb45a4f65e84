"""What is done to the cluster: a schedule of faults, drawn from a seed, and how each is done and undone.

A fault is a generator: up to its `yield` it is done, behind it it is undone. Roles (the leader, a follower) are looked up
when the fault strikes; everything else - which faults, when, for how long, which of the followers - is the seed's.
"""
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass, field

FAULTS = {}   # name -> (generator, shortest and longest duration in s)
PLANTED = {}  # what no store survives: for proving that the checker sees it


def fault(shortest_s, longest_s, kinds=None):
    def register(function):
        (FAULTS if kinds is None else kinds)[function.__name__.replace("_", "-")] = (function, shortest_s, longest_s)
        return function
    return register


@dataclass
class Strike:
    name: str
    at_s: float
    for_s: float
    seed: int
    generator: object = None

    def __str__(self):
        return f"{self.name}@{self.at_s:.1f}+{self.for_s:.1f}"


@dataclass
class Mark:
    """Something that clients may notice, to measure what it cost them."""
    at: int
    name: str


@dataclass
class World:
    """What faults act on."""
    cluster: object
    rng: random.Random
    marks: list = field(default_factory=list)
    leader_known: bool = False

    @property
    def network(self):
        return self.cluster.network

    def leader(self):
        slot = self.cluster.leader()
        self.leader_known = slot is not None
        return slot if slot is not None else self.anyone()

    def anyone(self):
        return self.rng.choice([member.slot for member in self.cluster.members])

    def follower(self):
        return self.rng.choice(self.cluster.others(self.leader()))

    def mark(self, name):
        if self.leader_known:
            self.marks.append(Mark(time.monotonic_ns(), name))


def draw(seed, seconds, only=""):
    """The faults of that seed, in a load of `seconds`: the first kind goes round, others may join it. Or `only` one."""
    rng = random.Random(seed)
    names = sorted(FAULTS)
    chosen = [names[seed % len(names)]] + [rng.choice(names) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
    if chosen.count("replace-member") > 1:
        chosen = ["replace-member"]
    chosen = [only] if only else chosen
    strikes = []
    for i, name in enumerate(chosen):
        _, shortest, longest = {**FAULTS, **PLANTED}[name]
        at = rng.uniform(0.1, 0.25 if i == 0 else 0.6) * seconds
        lasts = min(rng.uniform(shortest, longest), max(0.2, seconds * 0.9 - at))
        strikes.append(Strike(name, at, lasts, rng.randrange(1 << 30)))
    return sorted(strikes, key=lambda strike: strike.at_s)


def inflict(cluster, strikes, seconds):
    """Does and undoes them in their time, and then undoes what is left. Returns the marks."""
    began, marks = time.monotonic(), []
    todo = sorted([(s.at_s, n, s) for n, s in enumerate(strikes)] + [(s.at_s + s.for_s, n, s) for n, s in enumerate(strikes)],
                  key=lambda step: step[:2])
    for at_s, _, strike in todo:
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        if strike.generator is None:
            world = World(cluster, random.Random(strike.seed), marks)
            strike.generator = {**FAULTS, **PLANTED}[strike.name][0](world)
            next(strike.generator)
        else:
            next(strike.generator, None)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    heal(cluster)
    return marks


def heal(cluster):
    cluster.network.heal()
    for member in cluster.members:
        member.send(signal.SIGCONT)
        member.free_disk()
        cluster.start(member.slot)


# --- processes --------------------------------------------------------------------------------------
def kill(world, slots):
    for slot in slots:
        world.cluster.member(slot).kill()
    yield
    for slot in slots:
        world.cluster.start(slot)


@fault(0.3, 2.5)
def kill_leader(world):
    slot = world.leader()
    world.mark("leader killed")
    yield from kill(world, [slot])


@fault(0.3, 2.5)
def kill_follower(world):
    yield from kill(world, [world.follower()])


@fault(0.2, 1.5)
def kill_two(world):
    yield from kill(world, world.cluster.others(world.anyone()))


@fault(0.1, 0.8)
def kill_all(world):
    yield from kill(world, [member.slot for member in world.cluster.members])


@fault(0.3, 1.5)
def terminate_leader(world):
    member = world.cluster.member(world.leader())
    member.expected_exit = True
    world.mark("leader told to stop")
    member.send(signal.SIGTERM)
    yield
    member.terminate()
    world.cluster.start(member.slot)


@fault(2.0, 3.0)
def restart_one_by_one(world):
    for member in world.cluster.members:
        member.terminate()
        world.cluster.start(member.slot)
        time.sleep(0.3)
    yield


def pause(world, slot):
    world.cluster.member(slot).send(signal.SIGSTOP)
    yield
    world.cluster.member(slot).send(signal.SIGCONT)


@fault(0.2, 0.8)
def pause_leader_shortly(world):
    yield from pause(world, world.leader())


@fault(1.6, 2.8)
def pause_leader(world):
    slot = world.leader()
    world.mark("leader paused")
    yield from pause(world, slot)


@fault(0.3, 2.8)
def pause_follower(world):
    yield from pause(world, world.follower())


# --- the network --------------------------------------------------------------------------------------
def rules(world, wanted):
    for slot, rule in wanted:
        world.network.add(slot, rule)
    yield
    for slot, rule in wanted:
        if rule in world.network.rules[slot]:
            world.network.remove(slot, rule)


@fault(0.5, 2.8)
def isolate_leader(world):
    slot = world.leader()
    world.mark("leader cut off")
    yield from rules(world, world.network.alone(slot))


@fault(0.5, 2.8)
def isolate_follower(world):
    yield from rules(world, world.network.alone(world.follower()))


@fault(1.0, 2.8)
def cut_leader_from_members(world):
    """Clients still reach it: what it tells them must not be old."""
    slot = world.leader()
    yield from rules(world, world.network.cut(slot, world.cluster.others(slot)))


@fault(0.5, 2.8)
def cut_follower_from_members(world):
    slot = world.follower()
    yield from rules(world, world.network.cut(slot, world.cluster.others(slot)))


@fault(0.5, 2.8)
def cut_leader_from_one(world):
    slot = world.leader()
    yield from rules(world, world.network.cut(slot, [world.rng.choice(world.cluster.others(slot))]))


@fault(0.5, 2.0)
def cut_all_from_all(world):
    slots = [member.slot for member in world.cluster.members]
    yield from rules(world, [world.network.deaf(slot, other) for slot in slots for other in slots if slot != other])


@fault(0.5, 2.8)
def leader_deaf(world):
    """It speaks and does not hear."""
    slot = world.leader()
    yield from rules(world, [world.network.deaf(slot, other) for other in world.cluster.others(slot)])


@fault(0.5, 2.8)
def leader_mute(world):
    """It hears and is not heard."""
    slot = world.leader()
    yield from rules(world, [world.network.deaf(other, slot) for other in world.cluster.others(slot)])


@fault(0.5, 2.8)
def one_way_ring(world):
    """Everybody hears one of the others only."""
    slots = [member.slot for member in world.cluster.members]
    yield from rules(world, [world.network.deaf(slot, slots[i - 1]) for i, slot in enumerate(slots)])


@fault(0.8, 2.8)
def lossy_links(world):
    yield from rules(world, world.network.lossy(world.rng.choice((5, 15, 30))))


@fault(0.8, 2.8)
def thin_links(world):
    yield from rules(world, world.network.thin(world.rng.choice((50, 200))))


# --- the disk, the members ------------------------------------------------------------------------------
def fill(world, slots):
    for slot in slots:
        world.cluster.member(slot).fill_disk()
    yield
    for slot in slots:
        world.cluster.member(slot).free_disk()


@fault(1.0, 2.8)
def fill_disk_of_leader(world):
    yield from fill(world, [world.leader()])


@fault(1.0, 2.8)
def fill_disk_of_follower(world):
    yield from fill(world, [world.follower()])


@fault(0.8, 2.0)
def fill_disks_of_two(world):
    yield from fill(world, world.cluster.others(world.anyone()))


@fault(0.1, 0.1)
def transfer_leader(world):
    """Twice: to anybody else, and back."""
    for _ in range(2):
        slot = world.leader()
        world.mark("leader handed over")
        world.cluster.try_call(slot, "POST", "/store/v1/leader", {})  # others may have cut it off: then it stays
    yield


@fault(0.1, 0.1)
def replace_member(world):
    """With the members that the faults before it left: so it brings everybody back first."""
    heal(world.cluster)
    world.cluster.wait_ready(20)
    world.cluster.replace(world.anyone())
    yield


# --- planted ----------------------------------------------------------------------------------------------
@fault(3.5, 3.5, PLANTED)
def old_disks(world):
    """Every member gets back its disk of a moment ago."""
    members = world.cluster.members
    for member in members:
        member.kill()
        shutil.copytree(member.data, member.home / "old")
        world.cluster.start(member.slot)
    yield
    for member in members:
        member.kill()
    for member in members:
        shutil.rmtree(member.data)
        os.rename(member.home / "old", member.data)
        world.cluster.start(member.slot)
