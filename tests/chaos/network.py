"""The machines' network: one bridge, one network namespace a member, and nftables rules that cut them off.

Everything lives in the network and mount namespaces that run.py made for itself: nothing of it is seen by, or can
reach, the machine.
"""
import subprocess

CLIENT_IP = "10.77.0.1"
BRIDGE = "chaos0"


def ip_of(slot):
    return f"10.77.0.{10 + slot}"


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more)


class Network:
    """Slots are 1, 2, ...: places for a member. Not thread-safe: one nemesis at a time."""

    def __init__(self, slots):
        self.slots = list(slots)
        self.rules = {slot: [] for slot in self.slots}

    def create(self):
        run("mount", "-t", "tmpfs", "tmpfs", "/run")  # where `ip netns` keeps its names
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{CLIENT_IP}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        for slot in self.slots:
            name, wire = f"m{slot}", f"wire{slot}"
            run("ip", "netns", "add", name)
            run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", wire, "master", BRIDGE, "up")
            run("ip", "-n", name, "addr", "add", f"{ip_of(slot)}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
            self.apply(slot)  # fails here rather than in the middle of a schedule where there is no nftables

    def inside(self, slot):
        """What to put before a command so that it runs in that member's network."""
        return ["nsenter", f"--net=/run/netns/m{slot}"]

    def apply(self, slot):
        body = "\n".join(f"    {rule}" for rule in self.rules[slot])
        script = ("table inet chaos {}\ndelete table inet chaos\ntable inet chaos {\n  chain in {\n"
                  f"    type filter hook input priority 0; policy accept;\n{body}\n  }}\n}}\n")
        run(*self.inside(slot), "nft", "-f", "-", input=script)

    def add(self, slot, rule):
        self.rules[slot].append(rule)
        self.apply(slot)

    def remove(self, slot, rule):
        self.rules[slot].remove(rule)
        self.apply(slot)

    def heal(self):
        for slot in self.slots:
            if self.rules[slot]:
                self.rules[slot].clear()
                self.apply(slot)

    # --- what a fault consists of: (slot that drops, rule) ---------------------------------------
    def deaf(self, slot, to):
        """`slot` does not hear `to`: one way only."""
        return slot, f"ip saddr {ip_of(to)} drop"

    def cut(self, slot, others):
        """Neither hears the other."""
        return [rule for other in others for rule in (self.deaf(slot, other), self.deaf(other, slot))]

    def alone(self, slot):
        """Cut off from members and clients alike."""
        return [(slot, "iifname eth0 drop")]

    def lossy(self, percent):
        """Every member loses that part of what other members send."""
        members = ", ".join(ip_of(slot) for slot in self.slots)
        return [(slot, f"ip saddr {{ {members} }} numgen random mod 100 < {percent} drop") for slot in self.slots]

    def thin(self, kbytes_per_second):
        """What other members send beyond that rate is dropped."""
        members = ", ".join(ip_of(slot) for slot in self.slots)
        return [(slot, f"ip saddr {{ {members} }} limit rate over {kbytes_per_second} kbytes/second drop")
                for slot in self.slots]
