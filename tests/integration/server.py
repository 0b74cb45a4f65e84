"""The real api-server process on loopback, and clients for it. Python's own library only.

A theme is a file test_THEME.py: `from server import *`, functions test_*(s) that take a running Server, and
`main(globals())` at its end. Run by hand: python3 tests/integration/test_THEME.py build/bin/api-server [TEST...]
"""
import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checks import Failure, check, wait_until  # noqa: E402

MAPS = "/api/v1/namespaces/default/configmaps"
JSON = {"Content-Type": "application/json"}


class Skipped(Exception):
    """The machine lacks something; the message says what."""


def equal(got, wanted, what):
    check(got == wanted, f"{what}: wanted {wanted!r}, got {got!r}"[:2000])


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)


class Server:
    def __init__(self, binary, directory=None, flags=()):
        self.binary, self.flags = binary, list(flags)
        self.home = pathlib.Path(directory or tempfile.mkdtemp(prefix="coxswain-integration-"))
        self.data, self.log = self.home / "data", self.home / "log"
        self.port, self.process = 0, None

    # --- the process ---------------------------------------------------------------------------
    def arguments(self, port):
        return [self.binary, "--data-dir", self.data, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
                "--secure-port", port, "--port-file", self.home / "port", "--log-level", "warning", *self.flags]

    def start(self):
        (self.home / "port").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in self.arguments(self.port)], stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (self.home / "port").exists() or not (self.home / "port").read_text().strip():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"the server did not start: {self.log.read_text()[-500:]}")
            time.sleep(0.01)
        self.port = int((self.home / "port").read_text())
        return self

    def stop(self, how=signal.SIGTERM, seconds=30):
        if self.process is None:
            return None
        self.process.send_signal(how)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def remove(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def run_once(self, *flags, data=None, port=0, bind="127.0.0.1"):
        """Another process with its own flags that is expected to refuse: (exit code, lines of stderr)."""
        arguments = [self.binary, "--data-dir", data or self.home / "other", "--bind-address", bind,
                     "--advertise-address", "127.0.0.1", "--secure-port", port, *flags]
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stderr.strip().splitlines()

    # --- clients -------------------------------------------------------------------------------
    def tls(self, name="admin-client"):
        """A context that trusts the cluster; with the certificate of pki/NAME unless name is None."""
        context = ssl.create_default_context(cafile=self.data / "pki/ca.crt")
        if name:
            context.load_cert_chain(self.data / f"pki/{name}.crt", self.data / f"pki/{name}.key")
        return context

    def connect(self, context=None, timeout=20):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context or self.tls(), timeout=timeout)

    def call(self, method, path, body=None, headers=None, context=None, connection=None):
        own = connection is None
        connection = connection or self.connect(context)
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {**JSON, **(headers or {})}
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        answer = Answer(response, response.read())
        if own:
            connection.close()
        return answer

    def raw(self, context=None, timeout=20):
        """A bare TLS connection."""
        return (context or self.tls()).wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout),
                                                    server_hostname="localhost")

    def exchange(self, data, seconds=20):
        """What comes back on a bare connection until the server closes it."""
        connection = self.raw(timeout=seconds)
        connection.sendall(data)
        return read_all(connection)

    def put_map(self, name, data, **more):
        return self.call("POST", MAPS, {"metadata": {"name": name}, "data": data}, **more)

    def ready(self):
        return self.call("GET", "/readyz").status == 200


def read_all(connection):
    out = b""
    try:
        while chunk := connection.recv(65536):
            out += chunk
    except (OSError, ssl.SSLError):
        pass
    return out


class Watch:
    """A watch stream: events() yields dicts until the server ends it or `seconds` pass without one."""

    def __init__(self, s, path, seconds=10):
        self.connection = s.connect(timeout=seconds)
        self.connection.request("GET", path)
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def next(self):
        line = self.response.readline()
        return json.loads(line) if line else None

    def close(self):
        self.connection.close()


def main(tests):
    if len(sys.argv) < 2:
        raise SystemExit(f"usage: {sys.argv[0]} API_SERVER [TEST...]")
    names = sys.argv[2:] or [n for n in tests if n.startswith("test_")]
    failed = skipped = 0
    for name in names:
        s = Server(sys.argv[1], flags=tests.get("FLAGS", {}).get(name, []))
        began = time.monotonic()
        try:
            if not getattr(tests[name], "starts_itself", False):
                s.start()
            tests[name](s)
            print(f"  ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Skipped as reason:
            skipped += 1
            print(f"  skip  {name}: {reason}", flush=True)
        except Exception as error:
            failed += 1
            print(f"  FAIL  {name} ({time.monotonic() - began:.1f} s): {error}", flush=True)
            if not isinstance(error, Failure):
                traceback.print_exc()
            if s.log.exists():
                print("    the server's log: " + s.log.read_text(errors="replace")[-800:].replace("\n", "\n    "))
        finally:
            s.remove()
    print(f"{len(names) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 77 if skipped == len(names) else 0)


def starts_itself(test):
    test.starts_itself = True
    return test
