"""The supervisor, with small Python processes of its own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from demo.processes import NotReady, Process, ProcessDied, ProcessError, Supervisor, log_says
from demo.roster import ROOT, environment

STAYS = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAYS


def process(tmp_path: Path, name: str, code: str, **more: object) -> Process:
    log = tmp_path / f"{name}.log"
    fields: dict[str, object] = {
        "name": name,
        "argv": (sys.executable, "-c", code),
        "env": environment(),
        "cwd": tmp_path,
        "log": log,
        "ready": log_says(log, "up"),
        **more,
    }
    return Process(**fields)  # type: ignore[arg-type]


def eventually(holds: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_processes_start_after_what_they_need_and_stop_before_it(tmp_path: Path) -> None:
    ends = "import signal, sys; signal.signal(signal.SIGTERM, lambda *a: (open({!r}, 'a')"
    code = ends.format(str(tmp_path / "ends")) + ".write({!r}), sys.exit())); " + STAYS
    with Supervisor() as supervisor:
        supervisor.start(
            [
                process(tmp_path, "roof", code.format("roof "), needs=("wall",)),
                process(tmp_path, "wall", code.format("wall "), needs=("floor",)),
                process(tmp_path, "floor", code.format("floor ")),
            ]
        )
        assert list(supervisor.pids()) == ["floor", "wall", "roof"]

    assert (tmp_path / "ends").read_text() == "roof wall floor "


def test_a_need_that_nobody_meets_is_refused(tmp_path: Path) -> None:
    with Supervisor() as supervisor, pytest.raises(ValueError, match="nobody"):
        supervisor.start([process(tmp_path, "one", STAYS, needs=("nobody",))])


def test_a_process_that_is_never_ready_is_reported_with_its_log_and_stopped(
    tmp_path: Path,
) -> None:
    never = process(tmp_path, "slow", STAYS, ready=lambda: False, ready_within_s=0.5)

    with Supervisor() as ours:
        with pytest.raises(NotReady, match=r"slow was not ready after 0\.5 s"):
            ours.start([never])
        pid = ours.pids()["slow"]

    assert is_gone(pid)


def test_a_process_that_ends_while_starting_is_reported_with_its_log(tmp_path: Path) -> None:
    with Supervisor() as supervisor, pytest.raises(ProcessDied) as died:
        supervisor.start([process(tmp_path, "bad", "print('no such flag'); raise SystemExit(3)")])

    assert "bad ended with exit code 3" in str(died.value)
    assert "no such flag" in str(died.value)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with Supervisor() as supervisor, pytest.raises(ProcessError, match="/no/such/program"):
        supervisor.start([process(tmp_path, "gone", "", argv=("/no/such/program",))])


def test_one_that_ignores_the_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); "
        "open('child', 'w').write(str(child.pid)); " + STUBBORN
    )
    with Supervisor() as supervisor:
        supervisor.start([process(tmp_path, "parent", parent, stop_within_s=0.3)])
        pids = [supervisor.pids()["parent"], int((tmp_path / "child").read_text())]

    assert eventually(lambda: all(is_gone(pid) for pid in pids))


def test_children_of_one_that_died_are_swept(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); "
        "open('child', 'w').write(str(child.pid)); print('up', flush=True); time.sleep(60)"
    )
    with Supervisor() as supervisor:
        supervisor.start([process(tmp_path, "parent", code)])
        child = int((tmp_path / "child").read_text())
        os.kill(supervisor.pids()["parent"], signal.SIGKILL)
        with pytest.raises(ProcessDied, match="SIGKILL"):
            supervisor.watch(every_s=0.05)

    assert eventually(lambda: is_gone(child))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2), (signal.SIGKILL, -9)]
)
def test_nothing_outlives_a_parent_that_is_signalled(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    if number == signal.SIGKILL and not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a child that its parent died")  # CI is Linux
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from demo.processes import Process, Supervisor, log_says
        from demo.roster import environment
        log = Path("child.log")
        with Supervisor() as supervisor:
            supervisor.start([Process(
                name="child", argv=(sys.executable, "-c", {STAYS!r}), env=environment(),
                cwd=Path.cwd(), log=log, ready=log_says(log, "up"),
            )])
            Path("pid.part").write_text(str(supervisor.pids()["child"]))
            Path("pid.part").rename("pid")
            supervisor.watch()
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        stderr=subprocess.DEVNULL,
    )
    try:
        assert eventually((tmp_path / "pid").exists)
        child = int((tmp_path / "pid").read_text())
        parent.send_signal(number)
        assert parent.wait(10) == code
    finally:
        parent.kill()

    assert eventually(lambda: is_gone(child))
