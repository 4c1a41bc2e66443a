"""The threads that compute: how many there are and why, and that they share work rightly and sleep without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

assert sys.platform == "linux"  # where alone the kernels are

PROCESSORS = sorted(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = kernels.threads()
    yield
    kernels.set_threads(before)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A new process, whose environment has none of our variables but these."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("TENSORLOGIC_")}
    text = f"import os\nfrom pathlib import Path\n{code}"
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env={**others, **environment}, check=True
    )


def put(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return str(root)


def matrix(width: int, rows: int, seed: int) -> tuple[kernels.Matrix, mx.array]:
    """A packed matrix and its elements."""
    wide = mx.random.normal((rows, width), key=mx.random.key(seed))
    words, scales, biases = mx.quantize(wide, group_size=32, bits=4)
    packed = kernels.Matrix(words, scales, biases, 4, 32, "affine")
    return packed, mx.dequantize(words, scales, biases, group_size=32, bits=4)


def evaluate_soon(results: list[mx.array]) -> None:
    mx.async_eval(*results)  # type: ignore[no-untyped-call]


# --- how many


@pytest.mark.parametrize("count", ["1", "3", "1024"])
def test_the_number_that_is_asked_for(count: str) -> None:
    ran = run(
        "from tensorlogic_cpu import kernels; print(kernels.threads(), kernels.thread_limits()['asked'])",
        TENSORLOGIC_THREADS=count,
    )
    assert (ran.stdout, ran.stderr) == (f"{count} {count}\n", "")


@pytest.mark.parametrize("count", ["0", "-2", "1025", "two", "3x", "99999999999999999999"])
def test_what_is_no_number_of_threads_is_told_once(count: str) -> None:
    code = "from tensorlogic_cpu import kernels; print(kernels.threads(), kernels.thread_limits()['asked'])"
    ran = run(code, TENSORLOGIC_THREADS=count)
    assert ran.stdout == f"{kernels.thread_limits()['threads']} 0\n"
    assert ran.stderr == (
        f'tensorlogic: TENSORLOGIC_THREADS is a number from 1 to 1024, not "{count}"; it is not used\n'
    )


def test_an_empty_number_is_none() -> None:
    ran = run("from tensorlogic_cpu import kernels; print(kernels.thread_limits()['asked'])", TENSORLOGIC_THREADS="")
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def test_the_affinity_is_a_limit() -> None:
    code = (
        f"os.sched_setaffinity(0, {{{PROCESSORS[0]}}})\n"
        "from tensorlogic_cpu import kernels\n"
        "print(kernels.threads(), kernels.thread_limits()['processors'], kernels.thread_limits()['cores'])"
    )
    assert run(code).stdout == "1 1 1\n"


def test_two_processors_of_one_core_are_one(tmp_path: Path) -> None:
    pairs = {
        f"sys/devices/system/cpu/cpu{p}/topology/thread_siblings_list": f"{p // 2 * 2}-{p // 2 * 2 + 1}\n"
        for p in PROCESSORS
    }
    limits = kernels.thread_limits(put(tmp_path, pairs))
    assert limits["processors"] == len(PROCESSORS)
    assert limits["cores"] == len({p // 2 for p in PROCESSORS})


def test_processors_of_unknown_cores_count_each(tmp_path: Path) -> None:
    assert kernels.thread_limits(str(tmp_path))["cores"] == len(PROCESSORS)


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        pytest.param({}, 0, id="none"),
        pytest.param({"proc/self/cgroup": "0::/\n"}, 0, id="no limit"),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 0, id="max"),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5, id="root"),
        pytest.param(
            {
                "proc/self/cgroup": "0::/user.slice/a:b\n",
                "sys/fs/cgroup/user.slice/a:b/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/user.slice/cpu.max": "50000 100000\n",
            },
            0.5,
            id="the parent's is less",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/docker/1f\n", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2, id="the host's path"
        ),
        pytest.param(
            {
                "proc/self/cgroup": "9:name=systemd:/x\n3:cpuset:/x\n4:cpuacct,cpu:/x\n0::/\n",
                "sys/fs/cgroup/cpuacct,cpu/x/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpuacct,cpu/x/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpuset/x/cpu.cfs_period_us": "100000\n",
            },
            3,
            id="version 1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            id="version 1, by another name",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/cpu.max": "100000 0\n",
            },
            0,
            id="no period",
        ),
        pytest.param(
            {"proc/self/cgroup": "\n0\n0:\n0::\n0::x\n::::\n", "sys/fs/cgroup/cpu.max": "lots of it\n"},
            0,
            id="nonsense",
        ),
    ],
)
def test_cgroups_are_a_limit(files: dict[str, str], granted: float, tmp_path: Path) -> None:
    limits = kernels.thread_limits(put(tmp_path, files))
    assert limits["granted"] == granted
    if not limits["asked"]:
        assert limits["threads"] == min(limits["cores"], max(1, -int(-granted // 1)) if granted else 1024)


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_sizes_that_a_pool_has_not(count: int) -> None:
    with pytest.raises(ValueError, match=r"\[tensorlogic_cpu\.set_threads\] count is a number from 1 to 1024"):
        kernels.set_threads(count)


def test_a_machine_that_grants_no_more_threads_gets_fewer() -> None:
    code = (
        "import resource\n"
        "import mlx.core as mx\n"
        "from tensorlogic_cpu import kernels\n"
        "now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + 300_000_000, -1))\n"
        "kernels.set_threads(1024)\n"
        "print(1 < kernels.threads() < 1024)\n"
        "kernels.set_threads(2)\n"
        "print(kernels.threads())"
    )
    assert run(code).stdout == "True\n2\n"


# --- what they do


def blocked_signals(task: Path) -> set[int]:
    """The signals that a thread has blocked. A new one blocks all of them until it has begun."""
    for _ in range(1000):
        lines = (task / "status").read_text().splitlines()
        mask = int(next(line for line in lines if line.startswith("SigBlk:")).split()[1], 16)
        blocked = {number for number in range(1, 32) if mask & 1 << (number - 1)}
        if signal.SIGSEGV not in blocked:
            return blocked
        time.sleep(0.01)
    raise AssertionError("the thread has not begun")


def test_workers_are_named_and_take_no_signals() -> None:
    for count in (4, 1, 3):
        kernels.set_threads(count)
        tasks = [task for task in Path("/proc/self/task").iterdir() if (task / "comm").read_text() == "tensorlogic\n"]
        assert len(tasks) == count - 1
        for task in tasks:
            assert {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM} <= blocked_signals(task)


def test_idle_threads_use_no_processor_time() -> None:
    code = (
        "import time\n"
        "import mlx.core as mx\n"
        "from tensorlogic_cpu import kernels\n"
        "kernels.set_threads(4)\n"
        "words, scales, biases = mx.quantize(mx.ones((4096, 1024)), group_size=32, bits=4)\n"
        "stage = kernels.Stage([kernels.Matrix(words, scales, biases, 4, 32, 'affine')])\n"
        "for _ in range(20): mx.eval(kernels.Chain([stage], [1])(mx.ones((1, 1024))))\n"
        "time.sleep(0.2)\n"
        "start = time.process_time()\n"
        "time.sleep(1)\n"
        "print(time.process_time() - start)"
    )
    assert float(run(code).stdout) < 0.02


def test_a_program_may_end_while_products_run() -> None:
    """The BLAS gives its memory back when the process ends."""
    run(
        "import mlx.core as mx\n"
        "from tensorlogic_cpu import kernels\n"
        "mx.set_default_device(mx.cpu)\n"
        "x = y = mx.random.normal((1000, 1000))\n"
        "for _ in range(50): y = kernels.matmul(y, x) * 0.02\n"
        "mx.async_eval(y)\n"
    )


def test_the_blas_brings_no_threads_of_its_own() -> None:
    code = (
        "import mlx.core as mx\n"
        "before = dict(os.environ)\n"
        "from tensorlogic_cpu import kernels\n"
        "kernels.set_threads(1)\n"
        "kernels.peak_gflops()\n"
        "assert dict(os.environ) == before\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    # Python's and that of MLX's stream.
    assert int(run(code).stdout) == 2
    assert run(code, OPENBLAS_NUM_THREADS="1").stdout == "2\n"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_streams_at_once_compute_what_one_does(count: int) -> None:
    kernels.set_threads(count)
    packed, wide = matrix(256, 1500, seed=1)
    xs = [mx.random.normal((rows, 256), key=mx.random.key(rows)) for rows in (1, 7, 40)]
    expected = [np.array(x) @ np.array(wide).T for x in xs]
    streams = [mx.new_stream(mx.cpu) for _ in range(3)]
    for _ in range(10):
        results = []
        for stream in streams:
            with mx.stream(stream):
                results.append([kernels.Chain([kernels.Stage([packed])], [1])(x)[0] for x in xs])
        evaluate_soon([result for each in results for result in each])
        for each in results:
            for found, right, first in zip(each, expected, results[0], strict=True):
                np.testing.assert_allclose(np.array(found), right, rtol=1e-5, atol=1e-4)
                assert mx.array_equal(found, first)


def test_the_size_may_change_between_and_during_work() -> None:
    packed, _ = matrix(512, 3000, seed=2)
    x = mx.random.normal((3, 512), key=mx.random.key(0))
    first = kernels.Chain([kernels.Stage([packed])], [1])(x)[0]
    mx.eval(first)
    results = []
    for count in (1, 5, 2, 8, 3) * 4:
        results += [kernels.Chain([kernels.Stage([packed])], [1])(x)[0] for _ in range(4)]
        evaluate_soon(results[-4:])
        kernels.set_threads(count)
    assert all(bool(mx.array_equal(first, result).item()) for result in results)


# --- what the machine can do


def test_the_machine_is_measured(instruction_set: str) -> None:
    assert kernels.read_bandwidth(8) > 0.1
    assert kernels.read_bandwidth(1, threads=1) > 0.1


def test_peak() -> None:
    assert kernels.peak_gflops(1) > 0.1


def test_measurements_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="megabytes is a number from 1 to"):
        kernels.read_bandwidth(0)
    with pytest.raises(ValueError, match="threads is not negative"):
        kernels.read_bandwidth(1, -1)
    with pytest.raises(ValueError, match="threads is not negative"):
        kernels.peak_gflops(-1)
