"""How many threads work on tensors: no more than the process may use cores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorlogic.runtime import workers
from tensorlogic.runtime.workers import MOST, quota


def test_threads_follow_the_cores() -> None:
    assert 1 <= workers.count() <= MOST


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, MOST),
        ({"cpu.max": "max 100000\n"}, MOST),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "nonsense"}, MOST),
        ({"cpu.max": "100000 0"}, MOST),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, MOST),
    ],
)
def test_a_control_group_may_give_fewer_cores(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="ascii")
    assert quota(tmp_path) == cores
