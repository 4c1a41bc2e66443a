"""`python -m benchmarks.language`: our decoder beside llama.cpp at one model or both.

With `--quick` it takes about a minute a model: fewer rounds, and nothing of starts and agreement.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from benchmarks.harness import aligned
from benchmarks.language import contenders, measure
from benchmarks.language.contenders import BASELINE, MODELS, Entrant, LanguageModel
from benchmarks.language.rounds import Allowance

QUICK = {
    "prefill 128": Allowance(3, 24, 6),
    "prefill 512": Allowance(2, 24, 12),
    "decode 64 after 128": Allowance(1, 8, 8),
    "decode 64 after 2,000": Allowance(1, 4, 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.language", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--model", choices=[model.key for model in MODELS], help="both otherwise")
    parser.add_argument("--quick", action="store_true", help="about a minute a model")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the tasks in whose name this is")
    parser.add_argument("--llama-python", default=sys.executable, help="the Python that has llama-cpp-python")
    options = parser.parse_args()
    present = []
    for entrant in contenders.entrants(options.llama_python):
        why = entrant.missing()
        if why:
            print(why, file=sys.stderr)
        else:
            present.append(entrant)
    for model in MODELS:
        if options.model in (None, model.key):
            print(aligned(_lines(_speeds(model, present, options.only))), "\n")


def _speeds(model: LanguageModel, entrants: list[Entrant], only: str) -> list[measure.Row]:
    rows = []
    with ExitStack() as running:
        machine = running.enter_context(contenders.machine())
        workers = [running.enter_context(entrant.start()) for entrant in entrants]
        for worker in workers:
            worker.ask("open", path=str(model.path), capacity=measure.CAPACITY)
        for task in measure.TASKS:
            if only in task.name:
                turns = measure.measure(task, workers, BASELINE, machine, QUICK[task.name])
                rows += measure.rows(model.name, task, measure.quiet(turns), BASELINE, {})
    return rows


def _lines(rows: list[measure.Row]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [("", "", "tokens/s", f"times {BASELINE}", "turns", "others")]
    lines += [
        (
            row.task,
            row.contender,
            f"{row.tokens_a_second:.1f}",
            "" if row.ratio is None else str(row.ratio),
            str(row.turns),
            f"{row.others:.0%}",
        )
        for row in rows
    ]
    return lines


if __name__ == "__main__":
    main()
