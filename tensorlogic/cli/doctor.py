"""`tlc doctor`: with what programs compute on this machine, why, and how fast that can be."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tensorlogic.cli.loading import load_whole
from tensorlogic.cli.options import verbose_option

if TYPE_CHECKING:
    from tensorlogic.cli.page import Page
    from tensorlogic.runtime.machine import Machine, Threads

_ADVICE = (
    "Programs run many times slower on this CPU without the kernels. In TensorLogic's source, `make kernels` builds "
    "them, and `pip install ./kernels` installs them into another environment; both need a C++ compiler."
)


@click.command("doctor", short_help="Show with what programs compute on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else.")
@verbose_option
def command(as_json: bool) -> None:
    """Show on which device programs compute, whether the CPU kernels are used or why not, how many threads they have
    and why, and how fast memory is read and matrices are multiplied, which is measured for a second.

    TENSORLOGIC_KERNELS=off turns the kernels off, TENSORLOGIC_THREADS sets their threads, and TENSORLOGIC_ISA the
    instruction set.

    With --json, the object has `tensorlogic`, `python`, `mlx` (versions), `backend` (CPU, CUDA or Metal), `device`,
    `reason` (null, or why the kernels are not used), and `kernels` and `speed`, null where the kernels are not used.
    `kernels` has `version`, `instruction_set`, `instruction_sets`, `blas`, and `threads`: `count`, `processors`,
    `cores`, `granted` (by a cgroup, in processors, or null) and `asked` (by TENSORLOGIC_THREADS, or null). `speed` has
    `read` (GB/s of 10^9, from `megabytes`) and `multiply` (GFLOP/s of float32), by all threads together.
    """
    # Here, so that `tlc --help` does not load MLX.
    load_whole("mlx.core")
    from tensorlogic.cli.page import output_page, print_lines
    from tensorlogic.runtime.machine import examined

    machine = examined()
    if as_json:
        import json

        click.echo(json.dumps(as_object(machine), indent=2))
        return
    print_lines(as_text(output_page(), machine))


def as_object(machine: Machine) -> dict[str, object]:
    """What `--json` prints."""
    from dataclasses import asdict

    from tensorlogic import __version__

    facts = asdict(machine)
    return {
        "tensorlogic": __version__,
        "python": platform.python_version(),
        "mlx": facts["mlx"],
        "backend": facts["backend"],
        "device": facts["device"],
        "reason": facts["reason"] or None,
        "kernels": facts["kernels"],
        "speed": facts["speed"],
    }


def as_text(page: Page, machine: Machine) -> Iterator[str]:
    """What is printed for people."""
    from tensorlogic import __version__
    from tensorlogic.compiler.diagnostics.glyphs import visible

    rows = [
        ("tensorlogic", f"{__version__}, Python {platform.python_version()}"),
        ("backend", f"{machine.backend}, {visible(machine.device)}" if machine.device else machine.backend),
        ("MLX", machine.mlx),
    ]
    if machine.kernels is None:
        rows.append(("kernels", f"not used: {visible(machine.reason)}"))
    else:
        used = machine.kernels
        others = ", ".join(name for name in used.instruction_sets if name != used.instruction_set)
        rows += [
            ("kernels", f"tensorlogic-cpu {used.version}"),
            ("instruction set", f"{used.instruction_set}; there are also {others}" if others else used.instruction_set),
            ("BLAS", used.blas),
            ("threads", threads_told(used.threads)),
        ]
    if machine.speed is not None:
        rows += [
            ("memory", f"{machine.speed.read:.1f} GB/s read by all threads"),
            ("float32", f"{machine.speed.multiply:,.0f} GFLOP/s in products of matrices, by all threads"),
        ]
    yield from page.pairs(rows)
    if machine.kernels is None and not machine.asked:
        yield ""
        yield from page.sentence(_ADVICE)


def threads_told(threads: Threads) -> str:
    """The number of threads, and why it is that."""
    processors = f"{threads.processors} processor{'' if threads.processors == 1 else 's'}"
    if threads.asked is not None:
        less = "" if threads.count == threads.asked else f"; it asks for {threads.asked}, and there are no more"
        return f"{threads.count}, by TENSORLOGIC_THREADS{less}"
    if threads.granted is not None and math.ceil(threads.granted) < threads.cores:
        return f"{threads.count}, since a cgroup grants the time of {threads.granted:g} of {processors}"
    if threads.cores < threads.processors:
        return f"{threads.count}, one for each core; this process may use {processors}"
    return f"{threads.count}, one for each processor that this process may use"
