"""Finding and killing what a process has started, and the kernel's kills for memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from trial_kit import alive, until

from ribosome.runner.processes import kill_session, oom_kills


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
