"""What `tlc inspect` prints for people: the metadata, the tensors, the statistics, the differences and the totals.

Takes what `tensorlogic.runtime` found, gives lines. Text from files is shown with escapes for whatever a terminal would
obey. Names are never cut; long texts and lists of the metadata are summarized.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tensorlogic.cli.columns import Column, Row
from tensorlogic.cli.page import Page
from tensorlogic.compiler.diagnostics.glyphs import visible
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import FileHeader, MetadataValue, TensorInfo
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY
from tensorlogic.runtime.formats.summary import Amount, amounts, architecture, quantization, stored_bytes

if TYPE_CHECKING:
    from tensorlogic.runtime.comparing import Comparison, Distance
    from tensorlogic.runtime.statistics import Statistics

Measured = Mapping[str, "Statistics | ModelFileError"]

_LONGEST_TEXT = 60
_LONGEST_LIST = 8
_KINDS = {str: "strings", bool: "booleans", int: "integers", float: "floats", tuple: "lists"}

NAME, KIND = Column("name"), Column("type", style="kind")
_TENSORS = (NAME, KIND, Column("shape"), Column("size", right=True))
_SHAPES = (NAME, Column("shape"), Column("shape of the other", labelled=True))
_STORAGES = (KIND, Column("type of the other", labelled=True, style="kind"), Column("tensors", right=True))
_DISTANCES = (
    NAME,
    *(Column(title, right=True, labelled=True) for title in ("max abs", "rms", "relative", "differing")),
)


def inspected(
    page: Page, header: FileHeader, tensors: Sequence[TensorInfo], measured: Measured | None
) -> Iterator[str]:
    """A model: its tensors, with their statistics where they were measured, between its metadata and its totals.

    `tensors` are those that were asked for; where they are not all, the metadata, inputs and outputs are left out.
    """
    keys = [key for key in header.metadata if key != GGUF_KEY]
    if len(tensors) == len(header.tensors) and keys:
        yield page.paint("Metadata", "title")
        yield from page.pairs([_pair(header, key) for key in keys])
        yield ""
    for title, features in (("Inputs", header.inputs), ("Outputs", header.outputs)):
        if features and len(tensors) == len(header.tensors):
            yield page.paint(title, "title")
            yield from page.pairs([(visible(each.name), visible(each.declared)) for each in features])
            yield ""
    if tensors and measured is None:
        rows = [(visible(t.name), t.storage, shape(t.shape), size(stored_bytes(t))) for t in tensors]
        yield from page.table(_TENSORS, rows)
        yield ""
    elif tensors and measured is not None:
        yield from statistics_table(page, tensors, measured)
    yield from totals(page, header, tensors)


def totals(page: Page, header: FileHeader, tensors: Sequence[TensorInfo]) -> Iterator[str]:
    """The file, what kind of model it holds, and how much of each storage type."""
    by_storage = amounts(tensors)
    total = sum(by_storage.values(), Amount())
    of_all = "" if len(tensors) == len(header.tensors) else f" of {len(header.tensors):,}"
    facts = {
        "file": visible(str(header.path)),
        "format": header.format,
        "architecture": visible(architecture(header.metadata) or ""),
        "quantization": quantization(header.tensors.values()) or "",
        "tensors": f"{total.tensors:,}{of_all}",
        "parameters": f"{total.elements:,}",
        "size": f"{size(total.nbytes)} ({total.nbytes:,} bytes)" if total.nbytes >= 1000 else size(total.nbytes),
    }
    yield from page.pairs([(name, fact) for name, fact in facts.items() if fact])
    if len(by_storage) > 1:
        columns = (
            Column("type", style="kind"),
            Column("tensors", right=True, labelled=True),
            Column("parameters", right=True, labelled=True),
            Column("size", right=True),
        )
        yield ""
        yield from page.table(
            columns,
            [(name, f"{a.tensors:,}", f"{a.elements:,}", size(a.nbytes)) for name, a in by_storage.items()],
        )
    unread = Counter(info.storage for info in tensors if not info.readable)
    for storage, count in unread.items():
        told = f"{_counted(count, 'tensor')} of type {storage} cannot be read by this version."
        yield from page.sentence(told, "bad")


def statistics_table(page: Page, tensors: Sequence[TensorInfo], measured: Measured) -> Iterator[str]:
    """The tensors with their statistics. What no tensor has, such as NaN, has no column but a line that says so."""
    found = [result for result in measured.values() if not isinstance(result, ModelFileError)]
    rare = [
        ("NaN", any(s.nans for s in found)),
        ("inf", any(s.infinities for s in found)),
        ("to inf", any(s.overflows for s in found)),
        ("to 0", any(s.underflows for s in found)),
    ]
    present = [title for title, is_there in rare if is_there]
    titles = ["min", "max", "mean", "rms", *present]
    columns = [NAME, KIND, *(Column(title, right=True, labelled=True) for title in titles)]
    rows: list[Row] = []
    for info in tensors:
        result = measured[info.name]
        cells = [""] * len(titles) if isinstance(result, ModelFileError) else _cells(result, present)
        rows.append((visible(info.name), info.storage, *cells))
    yield from page.table(columns, rows)
    yield ""
    if {"to inf", "to 0"}.intersection(present):
        yield from page.sentence(
            "to inf, to 0: the fraction of all values, and of the nonzero ones, that become this in float16."
        )
    if 0 < len(found) < len(measured):
        yield from page.sentence("Of the tensors that could be read:")
    absent = [title for title in ("NaN", "inf") if title not in present]
    if absent and found:
        yield from page.sentence(f"No value is {' or '.join(absent)}.")
    for title, become in (("to inf", "would become infinite"), ("to 0", "that is not 0 would become 0")):
        if title not in present and found:
            yield from page.sentence(f"No value {become} in float16.")
    yield from _problems(page, measured)
    yield ""


def _cells(result: Statistics, present: Sequence[str]) -> list[str]:
    values = (result.minimum, result.maximum, result.mean, result.rms)
    rare = {
        "NaN": _count(result.nans),
        "inf": _count(result.infinities),
        "to inf": _fraction(result.overflow_fraction),
        "to 0": _fraction(result.underflow_fraction),
    }
    return [*map(_number, values), *(rare[title] for title in present)]


def differences(page: Page, first: FileHeader, second: FileHeader, found: Comparison) -> Iterator[str]:
    """Two models: everything in which they differ, and how many tensors are equal."""
    ours, theirs = visible(str(first.path)), visible(str(second.path))
    for path, names, tensors in (
        (ours, found.only_first, first.tensors),
        (theirs, found.only_second, second.tensors),
    ):
        if names:
            rows = [(visible(name), tensors[name].storage, shape(tensors[name].shape)) for name in names]
            yield from page.section(f"Only in {path}: {len(names):,}", _TENSORS[:3], rows)
    if found.shapes:
        changes = [(visible(name), shape(a), shape(b)) for name, (a, b) in found.shapes.items()]
        yield from page.section(f"Different shapes: {len(changes):,}", _SHAPES, changes)
    if found.values:
        far = [(visible(name), *_apart(distance)) for name, distance in found.values.items()]
        yield from page.section(f"Different values: {len(far):,}", _DISTANCES, far)
    if found.storages:
        kept = Counter(found.storages.values())
        counts = [(a, b, f"{count:,}") for (a, b), count in kept.items()]
        yield from page.section(f"Stored differently: {len(found.storages):,}", _STORAGES, counts)
    yield from _problems(page, found.problems)
    equal = f"{_counted(found.equal, 'tensor')} of equal shape and values."
    yield from page.sentence(equal if found.differs else f"No difference: {equal}", "" if found.differs else "good")


def _apart(distance: Distance) -> tuple[str, str, str, str]:
    differing = _fraction(distance.differing / distance.count)
    return _number(distance.maximum), _number(distance.rms), _number(distance.relative), differing


def _problems(page: Page, results: Mapping[str, object]) -> Iterator[str]:
    for name, problem in results.items():
        if isinstance(problem, ModelFileError):
            yield from page.sentence(visible(f"{name}: {problem.message} [{problem.code}]"), "bad")


def _pair(header: FileHeader, key: str) -> tuple[str, str]:
    try:
        return visible(key), described(header.metadata[key])
    except ModelFileError as problem:  # texts that are no UTF-8 are found only now
        return visible(key), visible(f"({problem.message})")


def described(value: MetadataValue) -> str:
    """A value of the metadata on one line: in full if it is short, else what it is and how long."""
    if isinstance(value, tuple):
        kinds = {_KINDS[type(item)] for item in value}
        kind = kinds.pop() if len(kinds) == 1 else "values"
        if len(value) > _LONGEST_LIST or kind not in ("booleans", "integers", "floats"):
            return f"list of {len(value):,} {kind if len(value) != 1 else kind[:-1]}"
        return f"[{', '.join(map(described, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, int):
        return str(value)
    if len(value) <= _LONGEST_TEXT:
        return visible(value)
    return f"{visible(value[:_LONGEST_TEXT])}… ({len(value):,} characters)"


def shape(dims: Iterable[int]) -> str:
    return f"[{', '.join(map(str, dims))}]"


def size(nbytes: int) -> str:
    """Bytes in a unit of which there are less than a thousand."""
    if nbytes < 1000:
        return f"{nbytes} B"
    units = iter(("kB", "MB", "GB", "TB"))
    scaled, unit = nbytes / 1000, next(units)
    while scaled >= 999.95 and unit != "TB":
        scaled, unit = scaled / 1000, next(units)
    return f"{scaled:.1f} {unit}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _fraction(fraction: float) -> str:
    return f"{100 * fraction:.3g}%" if fraction else ""


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
