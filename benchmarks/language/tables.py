"""The results as tables, their heads first."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.language.agreement import Agreement
from benchmarks.language.contenders import COMPARED
from benchmarks.language.measure import DISTURBED, Row
from benchmarks.language.rounds import Spread
from benchmarks.language.starts import Start

Lines = list[tuple[str, ...]]


def speeds(rows: Sequence[Row]) -> Lines:
    """Tokens a second; how many times those of each it is compared with; the part of a decode's time that reading must
    take.

    A `!` marks what was measured while others had so much of the processors that it tells little.
    """
    beside = [cell for name in COMPARED for cell in (f"/ {name}", "quartiles")]
    lines: Lines = [("", "", "tokens/s", *beside, "MB a token", "of the limit", "turns", "others")]
    for row in rows:
        size = "" if row.bytes_read is None else f"{row.bytes_read / 1e6:.0f}"
        limit = "" if row.of_limit is None else f"{row.of_limit:.2f}"
        speed = f"{row.tokens_a_second:.{0 if row.tokens_a_second >= 100 else 1}f}"
        quotients = [cell for ratio in row.ratios for cell in _ratio(ratio)]
        others = f"{row.others:.0%}" + (" !" if row.others > DISTURBED else "")
        lines.append((row.task, row.contender, speed, *quotients, size, limit, str(row.turns), others))
    return lines


def beginnings(starts: Sequence[Start]) -> Lines:
    """Seconds to open and to the first token, megabytes at most; ratios below 1 are less than those it is compared
    with."""
    beside = [f"/ {name}" for name in COMPARED]
    spread = [cell for name in beside for cell in (name, "quartiles")]
    lines: Lines = [("", "open s", *spread, "first token s", *spread, "peak MB", *beside, "processes")]
    for each in starts:
        cells = [each.contender]
        for seconds, ratios in (
            (each.open_seconds, each.open_ratios),
            (each.first_token_seconds, each.first_token_ratios),
        ):
            cells += [f"{seconds:.3f}", *(cell for ratio in ratios for cell in _ratio(ratio))]
        cells += [f"{each.peak_megabytes:.0f}", *(_ratio(ratio)[0] for ratio in each.peak_ratios)]
        lines.append((*cells, str(each.processes)))
    return lines


def agreements(found: Sequence[Agreement]) -> Lines:
    """Differences of logits from the baseline's, and the positions with the same best token; a `!` marks an error."""
    lines: Lines = [("logits", "largest difference", "root mean square", "same best token")]
    for each in found:
        same = f"{each.same} of {each.positions}" + ("" if each.holds else " !")
        lines.append((each.contender, f"{each.largest:.2f}", f"{each.root_mean_square:.2f}", same))
    return lines


def _ratio(ratio: Spread | None) -> tuple[str, str]:
    if ratio is None:
        return "", ""
    return f"{ratio.median:.2f}", "" if ratio.lower == ratio.upper else f"{ratio.lower:.2f} to {ratio.upper:.2f}"
