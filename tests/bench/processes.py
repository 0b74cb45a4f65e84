"""What the benchmarks of whole processes share: servers from the integration tests, and rows of the table of results."""
import contextlib
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]
from checks import check, wait_until  # noqa: E402,F401
from server import Server  # noqa: E402
from test_servers import Group  # noqa: E402


@contextlib.contextmanager
def three_servers(api_server, flags=()):
    """Three api-servers as one group, ready. Their directories go when it ends."""
    home = Server(str(api_server))
    try:
        with Group(home) as members:
            for member in members:
                member.flags += flags
                member.spawn()
            for member in members:
                member.wait_started()
            yield members
    finally:
        home.remove()


def store_status(member):
    answer = member.call("GET", "/store/v1/status")
    check(answer.status == 200, f"the status of the store: {answer.status} {answer.body}")
    return answer.json()


def leader_of(members):
    """The one that all running members agree on."""
    def agreed():
        running = [m for m in members if m.process is not None]
        leads = {store_status(m)["leader"] for m in running}
        return members[int(leads.pop()) - 1] if len(leads) == 1 and leads != {"0"} else None
    return wait_until("all agree who leads", 30, agreed, 0.02)


def percentile(values, percent):
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def row(work, measured, goal, reached):
    print(f"| {work} | {measured} | - | - | {goal} | {'reached' if reached else 'missed'} |", flush=True)
