"""Client libraries other than Go's: the official Python client, as the distribution ships it."""
import pathlib
import subprocess

from cluster import IMAGE, check

PYTHON = "/usr/bin/python3"  # the distribution's own, which sees its packages
SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "python_client.py"


def test_python_client(c):
    if subprocess.run([PYTHON, "-c", "import kubernetes"], capture_output=True).returncode != 0:
        print("  skip  python3-kubernetes is not installed")
        return
    done = subprocess.run([PYTHON, SCRIPT], env=dict(c.environment(), IMAGE=IMAGE), capture_output=True, text=True,
                          timeout=120)
    check(done.returncode == 0 and done.stdout.strip() == "ok", (done.stdout + done.stderr).strip()[-2000:])
