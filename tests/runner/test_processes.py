"""Finding and killing what a process has started, and the kernel's kills for memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from trial_kit import PATIENCE_S, alive, until

from ribosome.runner.processes import _has_no_child, kill_session, oom_kills


def fake_root(folder: Path, files: dict[str, str]) -> Path:
    """A folder that stands for /, with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({}, 0),
        ({"proc/vmstat": "nr_free_pages 7\noom_kill 3\n"}, 3),
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/step/memory.events": "oom 1\noom_kill 2\n",
                "proc/vmstat": "oom_kill 9\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/job\n1:cpu:/\n",
                "sys/fs/cgroup/memory/job/memory.oom_control": "oom_kill 5\n",
            },
            5,
        ),
        ({"proc/self/cgroup": "0::/gone\n", "proc/vmstat": "oom_kill 4\n"}, 4),
    ],
)
def test_kills_for_memory_are_counted(
    tmp_path: Path, files: dict[str, str], kills: int
) -> None:
    """Our own control group's counter is read, of either version, or the machine's."""
    assert oom_kills(fake_root(tmp_path, files)) == kills


def test_a_session_is_killed_as_a_whole() -> None:
    """Every process of the session ends, and none of another."""
    code = (
        "import subprocess as s; p = s.Popen(['sleep', '1000'], process_group=0);"
        "print(p.pid, flush=True); p.wait()"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with leader, stranger:
        try:
            assert leader.stdout is not None
            child = int(leader.stdout.readline())
            kill_session(leader.pid)
            assert leader.wait(10) == -9
            # A signal is sent at once, and takes its time to be delivered.
            until(lambda: not alive(child))
            assert alive(stranger.pid)
        finally:
            leader.kill()
            stranger.kill()


SUBREAPER = """
import os, sys, time
from pathlib import Path
from ribosome.runner import processes
processes.become_subreaper()
def fork(live):
    pid = os.fork()
    if pid == 0:
        live()
        os._exit(0)
    return pid
def sleep():
    time.sleep(1000)
stays = fork(lambda: (os.setsid(), sleep()))
if sys.argv[1] == "untold":  # as by a kernel that does not list children
    processes._has_no_child = lambda me, but: False
def daemon():
    os.setsid()
    for _ in range(3):
        fork(lambda: (os.setpgid(0, 0), fork(sleep), sleep()))
os.waitpid(fork(daemon), 0)  # what it started is ours now
def others():
    return [p.pid for p in processes._descendants(os.getpid(), stays, processes._listed())]
while len(others()) < 6:
    time.sleep(0.001)
processes.kill_descendants(but=stays)
print(len(others()), Path(f"/proc/{stays}").exists(), flush=True)
processes.kill_descendants()
print(Path(f"/proc/{stays}").exists())
"""


@pytest.mark.parametrize("children", ["told", "untold"])
def test_all_that_descends_is_killed(children: str) -> None:
    """Daemons with children in groups of their own end, and the one that stays stays."""
    done = subprocess.run(
        [sys.executable, "-c", SUBREAPER, children],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.split() == ["0", "True", "False"]


def test_the_kernel_tells_whether_there_are_children() -> None:
    """No child but the one that stays means that there is nothing to look for."""
    code = (
        "import os, subprocess as s; from ribosome.runner import processes as p;"
        "me = os.getpid(); told = [p._has_no_child(me, None)];"
        "one = s.Popen(['sleep', '1000']);"
        "told += [p._has_no_child(me, None), p._has_no_child(me, one.pid)];"
        "two = s.Popen(['sleep', '1000']);"
        "told += [p._has_no_child(me, one.pid), p._has_no_child(me, two.pid)];"
        "p.kill_descendants(); told += [p._has_no_child(me, None)]; print(*told)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.split() == ["True", "False", "True", "False", "False", "True"]


def test_a_kernel_that_lists_no_children_tells_nothing() -> None:
    """Where the list cannot be read, everything has to be looked at."""
    assert not _has_no_child(1 << 30, None)
