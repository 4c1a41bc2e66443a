"""`tlc inspect`: what is in a model file, in which it differs from another, and what its values are like.

Reads the header alone, and imports neither MLX nor NumPy, unless values are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tensorlogic.cli.loading import load_whole
from tensorlogic.cli.options import verbose_option
from tensorlogic.cli.reporting import show_runtime_error
from tensorlogic.runtime.errors import ModelFileError

if TYPE_CHECKING:
    from tensorlogic.runtime.comparing import Comparison
    from tensorlogic.runtime.formats import FileHeader, OpenFiles, TensorInfo
    from tensorlogic.runtime.statistics import Statistics

Measured = dict[str, "Statistics | ModelFileError"]
Difference = tuple["FileHeader", "Comparison"]
"""The second of two models, and how it differs from the first."""


@click.command("inspect", short_help="Show what is in a model file.")
@click.argument("file", metavar="FILE", type=click.Path(readable=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else.")
@click.option(
    "--filter",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    help="Only tensors whose whole name matches, such as '*attn*'; * is any text, ? a character, [ab] one of those. "
    "May be given again for more.",
)
@click.option("--stats", is_flag=True, help="Read the values, and show what they are like in each tensor.")
@click.option(
    "--diff",
    "other",
    metavar="OTHER",
    type=click.Path(readable=False, path_type=Path),
    help="Compare with another model: names, shapes and values. Files of different formats may be compared.",
)
@verbose_option
def command(file: Path, as_json: bool, patterns: tuple[str, ...], stats: bool, other: Path | None) -> int:
    """Show the tensors, the metadata and the totals of the model FILE: a file, a folder, or an index of shards.

    Only the header is read, however large the file is, unless --stats or --diff asks for values.

    With --stats, each tensor has the smallest and the largest of its finite values, their mean and root mean square,
    how many are NaN or inf, which fraction would become infinite in float16, and which fraction of those that are not
    0 would become 0 there. The values of quantized tensors are the dequantized ones.

    With --diff, what differs is shown instead, and the exit status is 1 if names, shapes or values differ. Values are
    compared as they are dequantized; that two files store equal values differently is shown, and is no difference.
    The metadata is not compared.

    The exit status is 1, too, if no tensor matches, and if a tensor whose values are asked for cannot be read.

    With --json, the object has `path`, `format`, `architecture`, `quantization`, `metadata`, `inputs`, `outputs`,
    `tensors` and `totals`. Inputs and outputs are those of Core ML models, by name, as a program would declare them. A
    tensor has `name`, `storage`, `dtype` (that of a program), `shape`, `bytes`, `packed` (null, or `bits`, `group_size`
    and `mode`), `readable`, and with --stats `statistics`: `elements`, `min`, `max`, `mean`, `rms`, `nan` and `inf`
    (counts), `overflow` and `underflow` (fractions), or `problem` alone. `totals` has `tensors`, `parameters`, `bytes`,
    and these for each of `storages`. A list of more than 1,000 in the metadata is {"list": LENGTH}. With --diff, `diff`
    has `path`, `equal`, `equal_tensors`, `only_first`, `only_second`, `shapes`, `storages`, `values` (`max_abs`, `rms`,
    `relative`, `differing`, `elements`) and `problems`, by names. Numbers that JSON has not are "nan", "inf" and
    "-inf".
    """
    from tensorlogic.cli.progress import progress_shown  # here, as everything below: help needs none of it

    try:
        with ExitStack() as opened:
            models = [_opened(path, opened) for path in (file, other) if path is not None]
            chosen = _chosen([header for header, _ in models], patterns)
            header, files = models[0]
            with progress_shown():
                measured = _measured(header, chosen[0], files) if stats else None
                difference = _difference(chosen, models) if other is not None else None
        show = _print_json if as_json else _print_text
        show(header, chosen[0], measured, difference)
    except ModelFileError as problem:
        show_runtime_error(problem)
        return 1
    unread = measured is not None and any(isinstance(result, ModelFileError) for result in measured.values())
    return 1 if unread or (difference is not None and difference[1].differs) else 0


def _opened(path: Path, opened: ExitStack) -> tuple[FileHeader, OpenFiles]:
    from tensorlogic.runtime.formats import open_model

    header, files = open_model(path)
    for file in files.values():
        opened.enter_context(file)
    return header, files


def _chosen(headers: Sequence[FileHeader], patterns: Sequence[str]) -> list[Mapping[str, TensorInfo]]:
    """The tensors of each model whose names match a pattern, all where there is none. Refuses patterns for nothing."""
    if not patterns:
        return [header.tensors for header in headers]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for header in headers for name in header.tensors):
            _refuse_pattern(headers[0], pattern)
    return [
        {name: info for name, info in header.tensors.items() if any(fnmatchcase(name, p) for p in patterns)}
        for header in headers
    ]


def _refuse_pattern(header: FileHeader, pattern: str) -> None:
    from tensorlogic.runtime.formats.nearest import did_you_mean, nearest  # here, since only this error needs it

    wider = f"*{pattern}*"
    count = sum(fnmatchcase(name, wider) for name in header.tensors)
    helps = [f"`--filter '{wider}'` matches {count} of them"] if count else []
    if not count:
        helps = did_you_mean(nearest(pattern, header.tensors))
    raise ModelFileError("TL4040", f"no tensor of `{header.path}` matches `{pattern}`", helps=helps)


def _measured(header: FileHeader, tensors: Mapping[str, TensorInfo], files: OpenFiles) -> Measured:
    load_whole("numpy", "mlx.core")
    from tensorlogic.runtime import progress
    from tensorlogic.runtime.formats.summary import stored_bytes
    from tensorlogic.runtime.statistics import statistics

    measured: Measured = {}
    with progress.work(f"Reading {header.path.name}", lambda: sum(map(stored_bytes, tensors.values()))):
        for name, info in tensors.items():
            try:
                measured[name] = statistics(files, info)
            except ModelFileError as problem:  # the others may still be looked at
                measured[name] = problem
    return measured


def _difference(
    chosen: Sequence[Mapping[str, TensorInfo]], models: Sequence[tuple[FileHeader, OpenFiles]]
) -> Difference:
    load_whole("numpy", "mlx.core")
    from tensorlogic.runtime.comparing import compare

    (_, files), (second, other_files) = models
    return second, compare((chosen[0], files), (chosen[1], other_files))


def _print_text(
    header: FileHeader,
    tensors: Mapping[str, TensorInfo],
    measured: Measured | None,
    difference: Difference | None,
) -> None:
    from tensorlogic.cli import inspect_text
    from tensorlogic.cli.page import output_page, print_lines

    page = output_page()
    if difference is None or measured is not None:
        print_lines(inspect_text.inspected(page, header, list(tensors.values()), measured))
    if difference is not None:
        if measured is not None:
            click.echo()
        print_lines(inspect_text.differences(page, header, *difference))


def _print_json(
    header: FileHeader,
    tensors: Mapping[str, TensorInfo],
    measured: Measured | None,
    difference: Difference | None,
) -> None:
    import json

    from tensorlogic.cli import inspect_json

    result = inspect_json.inspected(header, list(tensors.values()), measured)
    if difference is not None:
        result["diff"] = inspect_json.differences(*difference)
    click.echo(json.dumps(result, indent=2, allow_nan=False))
