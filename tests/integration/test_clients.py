#!/usr/bin/env python3
"""Who may connect, and what broken, slow and stuck clients cost others: nothing."""
import resource
import threading
import warnings

from server import *


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificate(s, name, ca_dir, days=1, begin=None):
    """A client certificate for an admin, signed by the CA in `ca_dir`."""
    base = s.home / name
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{base}.key",
            "-out", f"{base}.csr", "-subj", "/O=system:masters/CN=kubernetes-admin")
    openssl("x509", "-req", "-in", f"{base}.csr", "-CA", ca_dir / "ca.crt", "-CAkey", ca_dir / "ca.key", "-CAcreateserial",
            "-days", days, "-out", f"{base}.crt")
    context = s.tls(None)
    context.load_cert_chain(f"{base}.crt", f"{base}.key")
    return context


def refused(s, context):
    """401, or no connection at all."""
    try:
        return s.call("GET", "/api/v1/namespaces", context=context).status == 401
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return True


def test_certificates(s):
    anonymous = s.tls(None)
    for path, status in (("/healthz", 200), ("/livez", 200), ("/readyz", 200), ("/version", 200), ("/api", 401),
                         ("/api/v1/secrets", 401), ("/metrics", 401), ("/openapi/v2", 401), ("/nothing", 401)):
        equal(s.call("GET", path, context=anonymous).status, status, f"anonymous {path}")
    body = s.call("GET", "/api/v1/pods", context=anonymous).json()
    equal((body["kind"], body["reason"], body["code"]), ("Status", "Unauthorized", 401), "the Status")
    check(s.call("GET", "/api/v1/pods", context=certificate(s, "mine", s.data / "pki")).status == 200, "our own CA is trusted")
    other = s.home / "other-ca"
    other.mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", other / "ca.key",
            "-out", other / "ca.crt", "-subj", "/CN=kubernetes-ca", "-days", "1")
    check(refused(s, certificate(s, "stranger", other)), "another CA's certificate is refused")
    check(refused(s, certificate(s, "expired", s.data / "pki", days=-1)), "an expired certificate is refused")
    serving = s.tls(None)
    serving.load_cert_chain(s.data / "pki/apiserver.crt", s.data / "pki/apiserver.key")
    check(refused(s, serving), "a serving certificate is no client certificate")
    equal(s.call("GET", "/api", headers={"Authorization": "Bearer nonsense"}, context=anonymous).status, 401, "a bad token")


def test_protocol_versions(s):
    warnings.simplefilter("ignore", DeprecationWarning)
    old = s.tls()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        s.call("GET", "/healthz", context=old)
        raise Failure("TLS 1.1 was accepted")
    except (ssl.SSLError, OSError):
        pass
    plain = http.client.HTTPConnection("127.0.0.1", s.port, timeout=10)
    plain.request("GET", "/healthz")
    answer = plain.getresponse()
    check(answer.status == 400 and b"HTTP request to an HTTPS server" in answer.read(), "plain HTTP is told so")


def test_broken_requests(s):
    rows = [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/9.9\r\n\r\n", b"400"),
        (b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100000 + b"\r\n\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"431"),
        (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"4"),
        (b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
    ]
    for request, status in rows:
        answer = s.exchange(request)
        line = answer.split(b"\r\n")[0]
        check(line.startswith(b"HTTP/1.1 " + status), f"{request[:60]!r}: {line!r}")
    for half in (b"", b"GE", b"GET /healthz HTTP/1.1\r\nHost:", b"\x16\x03\x01" * 50, os.urandom(2000)):
        connection = s.raw()
        connection.sendall(half or b"\n")
        connection.close()
    tls_garbage = socket.create_connection(("127.0.0.1", s.port))
    tls_garbage.sendall(b"\x16\x03\x01\xff\xff" + os.urandom(100))
    tls_garbage.close()
    check(s.ready(), "the server is well")


def test_odd_but_legal_requests(s):
    two = s.exchange(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    equal(two.count(b"HTTP/1.1 200"), 2, "pipelined requests")
    body = json.dumps({"metadata": {"name": "chunked"}}).encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:])) + b"0\r\n\r\n"
    answer = s.exchange(b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunked)
    check(answer.startswith(b"HTTP/1.1 201"), f"a chunked body: {answer[:200]}")
    expecting = s.raw()
    body = json.dumps({"metadata": {"name": "expect"}}).encode()
    expecting.sendall(b"POST " + MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                      b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
    check(expecting.recv(100).startswith(b"HTTP/1.1 100"), "100-continue")
    expecting.sendall(body)
    check(read_all(expecting).startswith(b"HTTP/1.1 201"), "and then the answer")
    for method, path, status in (("DELETE", "/healthz", 405), ("BREW", "/api/v1/pods", 405), ("POST", "/api/v1/nodes/x", 405),
                                 ("GET", "/api/v1//pods", 404), ("GET", "/api/v1/../secrets", 404), ("GET", "/%zz", 400),
                                 ("GET", "/api/v1/namespaces/%64efault", 200), ("HEAD", "/healthz", 200)):
        got = s.call(method, path).status
        check(got == status or (status in (404, 405) and got in (301, 400, 404, 405)), f"{method} {path}: {got}")


def fill(s, count, size):
    connection = s.connect()
    for i in range(count):
        equal(s.put_map(f"big{i:04}", {"v": "x" * size}, connection=connection).status, 201, "fill")


def median_get_ms(s, count=60):
    connection, took = s.connect(), []
    for _ in range(count):
        began = time.monotonic()
        equal(s.call("GET", MAPS + "/probe", connection=connection).status, 200, "a healthy client's GET")
        took.append((time.monotonic() - began) * 1000)
    return sorted(took)[count // 2]


def test_stuck_readers_hurt_only_themselves(s):
    s.put_map("probe", {})
    fill(s, 30, 700_000)  # a list of 21 MB
    before = median_get_ms(s)
    memory = rss_mib(s)
    stuck = []
    for _ in range(40):  # asks for 21 MB and never reads a byte
        connection = s.raw()
        connection.sendall(b"GET " + MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        stuck.append(connection)
    time.sleep(1)
    after = median_get_ms(s)
    check(after < before * 10 + 20, f"a healthy client: {before:.1f} ms before, {after:.1f} ms beside 40 stuck readers")
    check(rss_mib(s) < memory + 200, f"memory: {memory} MiB before, {rss_mib(s)} MiB after 840 MB were asked for")
    for connection in stuck:
        connection.close()


def rss_mib(s):
    for line in open(f"/proc/{s.process.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def test_stuck_watchers_delay_nobody(s):
    s.put_map("probe", {"n": "0"})
    path = MAPS + "?watch=1&fieldSelector=metadata.name%3Dprobe"
    stuck = []
    for _ in range(300):
        connection = s.raw()
        connection.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        stuck.append(connection)
    healthy = Watch(s, path)
    equal(healthy.next()["type"], "ADDED", "the first event")
    writer = s.connect()
    for n in range(1, 201):
        answer = s.call("PUT", MAPS + "/probe", {"metadata": {"name": "probe"}, "data": {"n": str(n), "pad": "x" * 10000}},
                        connection=writer)
        equal(answer.status, 200, "a write")
        event = healthy.next()
        equal((event["type"], event["object"]["data"]["n"]), ("MODIFIED", str(n)), "the healthy watcher's next event")
    for connection in stuck:
        connection.close()
    check(s.ready(), "the server is well")


def test_thousands_of_idle_connections(s):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 8192)
    if wanted < 2500:
        raise Skipped(f"only {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        s.put_map("probe", {})
        context, held = s.tls(), []
        count = min(2000, wanted - 500)
        for i in range(count):
            connection = s.raw(context)
            if i % 2:  # half of them idle watches
                connection.sendall(b"GET " + MAPS.encode() + b"?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: a\r\n\r\n")
            held.append(connection)
        check(median_get_ms(s) < 500, "others are served")
        check(rss_mib(s) < 300, f"memory with {count} idle connections: {rss_mib(s)} MiB")
        for connection in held:
            connection.close()
        check(s.ready(), "the server is well")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_senders_are_cut_off(s):
    trickle = s.raw(timeout=40)
    began, ended = time.monotonic(), None
    try:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: " + b"a" * 200:
            trickle.sendall(bytes([byte]))
            trickle.settimeout(0.3)
            try:
                if not (got := trickle.recv(1000)) or b" 408 " in got:
                    ended = time.monotonic() - began
                    break
            except (TimeoutError, ssl.SSLWantReadError):
                pass
            if time.monotonic() - began > 30:
                break
    except OSError:
        ended = time.monotonic() - began
    check(ended is not None and 5 < ended < 25, f"a header that trickles in is cut off after {ended} s")


def test_shutdown_under_load(s):
    s.put_map("probe", {})
    stop, bad, answered = threading.Event(), [], [0]
    watch = Watch(s, MAPS + "?watch=1")

    def load():
        connection = s.connect()
        n = 0
        while not stop.is_set():
            n += 1
            try:
                status = s.put_map(f"l{threading.get_ident()}-{n}", {}, connection=connection).status
            except (OSError, http.client.HTTPException):
                return  # closed between requests, or refused
            if status != 201:
                bad.append(status)
                return
            answered[0] += 1

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    code = s.stop(signal.SIGTERM)
    took = time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join()
    equal(code, 0, "the exit code")
    check(took < 15, f"it took {took:.1f} s")
    check(answered[0] > 50, f"there was load: {answered[0]}")
    check(all(status in (429, 503) for status in bad), f"answers while it stopped: {bad}")
    while watch.next() is not None:  # ends cleanly: no exception
        pass
    s.start()
    stored = len(s.call("GET", MAPS).json()["items"])
    check(stored >= answered[0] + 1, f"{answered[0]} acknowledged, {stored} stored")


if __name__ == "__main__":
    main(globals())
