"""What the end-to-end and the integration tests share: checks, and waiting for something to become true."""
import http.client
import subprocess
import time


class Failure(Exception):
    """A check did not hold."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def wait_until(what, seconds, predicate, interval=0.1):
    """Until predicate() is true; its last value is returned. Errors inside count as 'not yet'."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            last = predicate()
            if last:
                return last
        except (OSError, subprocess.CalledProcessError, http.client.HTTPException, Failure, KeyError, IndexError,
                ValueError) as error:
            last = error
        time.sleep(interval)
    raise Failure(f"{what}: not within {seconds} s (last: {str(last)[:500]})")
