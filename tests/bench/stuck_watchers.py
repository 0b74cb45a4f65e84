#!/usr/bin/env python3
"""What watchers that stopped reading cost those that read: one api-server, TLS, a connection a watcher.

usage: stuck_watchers.py BUILD_DIR [--quick]
"""
import pathlib
import resource
import subprocess
import sys

from processes import Server

QUICK = ["--watchers", "300", "--stuck", "24", "--objects", "20", "--seconds", "1", "--rounds", "1"]


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    build = pathlib.Path(sys.argv[1])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server's, too
    server = Server(str(build / "bin/api-server"))
    try:
        server.start()
        subprocess.run([build / "bin/watch_bench", "--kubeconfig", server.data / "kubeconfig/admin.conf",
                        *(QUICK if "--quick" in sys.argv else [])], check=True, timeout=600)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
