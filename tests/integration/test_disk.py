#!/usr/bin/env python3
"""A disk without room: writes are refused and say so, reads and watches go on, and it recovers by itself."""
import ctypes

from server import *

SIZE_MIB = 96


def small_disk(s):
    """A file system of its own for the server's data, seen by this process and its children only."""
    if os.geteuid() != 0:
        raise Skipped("mounting needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise Skipped("no mount namespaces here")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", s.home], check=True)


def fill_disk(s):
    with open(s.home / "ballast", "wb") as ballast:
        try:
            while True:
                ballast.write(b"x" * 65536)
                ballast.flush()
        except OSError:
            pass


@starts_itself
def test_disk_full_and_room_again(s):
    small_disk(s)
    s.start()
    acknowledged, refused = {}, None
    connection = s.connect()
    watch = Watch(s, MAPS + "?watch=1&resourceVersion=0", seconds=30)
    fill_disk(s)
    for n in range(4000):
        answer = s.put_map(f"m{n}", {"v": "x" * 20000}, connection=connection)
        if answer.status != 201:
            refused = answer
            break
        acknowledged[f"m{n}"] = answer.json()["metadata"]["resourceVersion"]
    check(refused is not None, "a full disk refuses writes at last")
    status = refused.json()
    check(refused.status in (500, 507) and status["kind"] == "Status", f"refused with {refused.status}: {refused.body[:300]}")
    check("space" in status["message"].lower(), f"the reason is said: {status['message']}")
    equal(s.call("GET", MAPS + "/m0").status if acknowledged else 200, 200, "reads go on")
    listed = {i["metadata"]["name"] for i in s.call("GET", MAPS).json()["items"]}
    check(set(acknowledged) <= listed, "everything acknowledged is there")
    check(f"m{len(acknowledged)}" not in listed, "what was refused is not")
    for name in acknowledged:
        event = watch.next()
        while event["object"]["metadata"]["name"] == "kube-root-ca.crt":
            event = watch.next()
        equal(event["object"]["metadata"]["name"], name, "watches go on, in order")
    (s.home / "ballast").unlink()
    wait_until("writes are taken again", 20, lambda: s.put_map("after", {}).status == 201)
    equal(watch.next()["object"]["metadata"]["name"], "after", "and seen")
    s.stop(signal.SIGKILL)
    s.start()
    stored = {i["metadata"]["name"]: i["metadata"]["resourceVersion"] for i in s.call("GET", MAPS).json()["items"]}
    check(acknowledged.items() <= stored.items() and "after" in stored, "nothing acknowledged is lost by a kill -9")


if __name__ == "__main__":
    main(globals())
