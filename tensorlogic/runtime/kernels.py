"""The one place that decides whether our CPU kernels compute, or MLX's own operations.

`active()` is asked wherever there is a choice, while graphs are built. It gives the module of the kernels where the
default device is the CPU, the distribution `tensorlogic-cpu` is installed and fits (it proves itself when it is
imported), and the environment variable TENSORLOGIC_KERNELS is not `off`; and None otherwise. It is looked for once in a
process, at the first question.

On Linux, where a program would compute on the CPU without kernels and nobody asked for that, one line on stderr says
so, once in a process. `status()` tells the reason, and says nothing by itself.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import mlx.core as mx

from tensorlogic.runtime.formats.gguf import quick

if TYPE_CHECKING:
    import tensorlogic_cpu

    # What `active()` gave, with its types: `if kernels.active(): return kernels.cpu.Chain(...)`.
    cpu = tensorlogic_cpu.kernels

VERSION = "0.1.0"
"""The version of `tensorlogic-cpu` that this runtime calls."""
_CPU = mx.Device(mx.cpu)


@dataclass(frozen=True)
class Status:
    """Whether the kernels can be used where the device is the CPU: they, or why not, and whether that was asked for."""

    module: ModuleType | None
    reason: str = ""
    asked: bool = False


def active() -> ModuleType | None:
    """The kernels, where they are used on the default device now; about 0.2 µs."""
    return _for_cpu() if mx.default_device() == _CPU else None


def status() -> Status:
    """What was found, whatever the device is."""
    return _looked_for()


@functools.cache
def _for_cpu() -> ModuleType | None:
    found = _looked_for()
    if found.module is None and not found.asked and sys.platform == "linux":
        print(
            f"tensorlogic: {found.reason}, so programs run many times slower on this CPU; `tlc doctor` says more",
            file=sys.stderr,
        )
    return found.module


@functools.cache
def _looked_for() -> Status:
    wish = os.environ.get("TENSORLOGIC_KERNELS", "")
    if wish == "off":
        return Status(None, "TENSORLOGIC_KERNELS is `off`", asked=True)
    if wish not in ("", "on"):
        print(f'tensorlogic: TENSORLOGIC_KERNELS is "on" or "off", not "{wish}"; it is not used', file=sys.stderr)
    try:
        import tensorlogic_cpu
    except ModuleNotFoundError as problem:
        if problem.name == "tensorlogic_cpu":
            return Status(None, "the CPU kernels are not installed")
        return _unusable(problem)
    except (ImportError, OSError, TypeError, ValueError, RuntimeError) as problem:
        return _unusable(problem)
    version = getattr(tensorlogic_cpu, "__version__", "of another version")
    if version != VERSION:
        return _unusable(f"tensorlogic-cpu {version} is installed, and {VERSION} is needed")
    globals()["cpu"] = quick.kernels = tensorlogic_cpu.kernels
    return Status(tensorlogic_cpu.kernels)


def _unusable(problem: Exception | str) -> Status:
    text = str(problem).partition("\n")[0]
    return Status(None, f"the CPU kernels cannot be used ({text})")
