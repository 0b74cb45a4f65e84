#!/usr/bin/env python3
"""Watches and documents over the wire: initial events, bookmarks, resume, media types, ETags."""
from server import *


def names(s, *values):
    for value in values:
        equal(s.put_map(value, {}).status, 201, f"create {value}")


def test_resume_from_any_revision(s):
    revisions = [int(s.put_map(f"m{n}", {}).json()["metadata"]["resourceVersion"]) for n in range(50)]
    for start in (0, 7, 25, 48):
        watch = Watch(s, f"{MAPS}?watch=1&resourceVersion={revisions[start]}")
        for n in range(start + 1, 50):
            event = watch.next()
            equal((event["type"], event["object"]["metadata"]["name"], int(event["object"]["metadata"]["resourceVersion"])),
                  ("ADDED", f"m{n}", revisions[n]), f"resumed after m{start}")
        watch.close()
    future = Watch(s, f"{MAPS}?watch=1&resourceVersion={revisions[-1] + 1000}&timeoutSeconds=1")
    check(future.status in (200, 410, 504), "a revision in the future is not a crash")


def test_initial_events(s):
    names(s, "a", "b")
    watch = Watch(s, MAPS + "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
    seen = []
    while True:
        event = watch.next()
        if event["type"] == "BOOKMARK":
            equal(event["object"]["metadata"]["annotations"], {"k8s.io/initial-events-end": "true"}, "the end of the initial events")
            break
        seen.append((event["type"], event["object"]["metadata"]["name"]))
    check(("ADDED", "a") in seen and ("ADDED", "b") in seen, f"initial events: {seen}")
    names(s, "c")
    equal(watch.next()["object"]["metadata"]["name"], "c", "then changes")
    refused = s.call("GET", MAPS + "?watch=1&sendInitialEvents=true")
    equal(refused.status, 422, "without resourceVersionMatch")


def test_selectors_and_time_out(s):
    watch = Watch(s, MAPS + "?watch=1&labelSelector=team%3Da&timeoutSeconds=2")
    s.call("POST", MAPS, {"metadata": {"name": "x", "labels": {"team": "b"}}})
    s.call("POST", MAPS, {"metadata": {"name": "y", "labels": {"team": "a"}}})
    s.call("PATCH", MAPS + "/x", json.dumps({"metadata": {"labels": {"team": "a"}}}),
           {"Content-Type": "application/merge-patch+json"})
    s.call("PATCH", MAPS + "/y", json.dumps({"metadata": {"labels": {"team": "b"}}}),
           {"Content-Type": "application/merge-patch+json"})
    got = [(e["type"], e["object"]["metadata"]["name"]) for e in iter(watch.next, None)]
    equal(got, [("ADDED", "y"), ("ADDED", "x"), ("DELETED", "y")], "objects that come into and leave a selection")


def test_media_types(s):
    names(s, "a")
    rows = [("application/json", "application/json"), ("application/yaml", "application/yaml"), ("*/*", "application/json"),
            ("application/json;as=Table;g=meta.k8s.io;v=v1,application/json", "application/json"),
            ("application/vnd.kubernetes.protobuf,application/json", "application/json")]
    for accept, wanted in rows:
        answer = s.call("GET", MAPS, headers={"Accept": accept})
        equal(answer.status, 200, accept)
        check(answer.headers["Content-Type"].startswith(wanted), f"{accept}: {answer.headers['Content-Type']}")
    equal(s.call("GET", MAPS, headers={"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}).json()["kind"], "Table", "a Table")
    partial = s.call("GET", MAPS + "/a", headers={"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}).json()
    equal((partial["kind"], "data" in partial), ("PartialObjectMetadata", False), "partial metadata")
    equal(s.call("GET", MAPS, headers={"Accept": "text/html"}).status, 406, "not acceptable")
    for body_type, body, status in (("text/plain", "x", 415), ("application/json", "{", 400), ("application/yaml", "a: [", 400),
                                    ("application/yaml", "metadata: {name: y}\n", 201),
                                    ("application/vnd.kubernetes.protobuf", b"k8s\0\xff\xff\xff", 400),
                                    ("application/vnd.kubernetes.protobuf", b"nope", 400), ("application/json", "", 400)):
        equal(s.call("POST", MAPS, body, {"Content-Type": body_type}).status, status, f"{body_type} {body!r}")


def test_compression_and_etags(s):
    s.put_map("big", {"v": "x" * 300000})
    answer = s.call("GET", MAPS, headers={"Accept-Encoding": "gzip"})
    if answer.headers.get("Content-Encoding") == "gzip":
        import gzip
        answer.body = gzip.decompress(answer.body)
        check(len(answer.body) > 300000, "unpacked")
    check(any(i["metadata"]["name"] == "big" for i in answer.json()["items"]), "the list")
    for path in ("/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1"):
        first = s.call("GET", path)
        etag = first.headers["ETag"]
        check(first.status == 200 and etag, f"{path} has an ETag")
        again = s.call("GET", path, headers={"If-None-Match": etag})
        equal((again.status, again.body), (304, b""), f"{path} again")
    protobuf = s.call("GET", "/openapi/v2", headers={"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"})
    check(protobuf.status == 200 and "protobuf" in protobuf.headers["Content-Type"] and protobuf.body[:5] == b"\n\x032.0",
          "OpenAPI v2 in protobuf")


if __name__ == "__main__":
    main(globals())
