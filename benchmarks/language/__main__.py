"""`python -m benchmarks.language`: our decoder beside llama.cpp at one model or both, as `make bench` does it.

With `--quick` it takes about a minute a model: fewer rounds, and nothing of beginnings and of mlx-lm.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness import aligned
from benchmarks.language import comparison, tables
from benchmarks.language.contenders import entrants
from benchmarks.language.models import MODELS


def main() -> int:
    """Returns the exit status: 1 where logits are wrong."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=summary)
    parser.add_argument("--model", choices=[model.key for model in MODELS], help="both otherwise")
    parser.add_argument("--quick", action="store_true", help="about a minute a model")
    parser.add_argument("--only", metavar="TEXT", help="only the tasks in whose name this is, and nothing else")
    parser.add_argument("--llama-python", default=sys.executable, help="the Python that has llama-cpp-python")
    parser.add_argument("--mlx-python", default=sys.executable, help="the Python that has mlx-lm")
    options = parser.parse_args()
    plan = comparison.QUICK if options.quick else comparison.FULL
    if options.only is not None:
        plan = plan.only(options.only)
        if not plan.tasks:
            parser.error(f"no task has {options.only!r} in its name; there are {', '.join(comparison.FULL.tasks)}")
    who = comparison.present(entrants(options.llama_python, options.mlx_python))
    wrong = False
    for model in MODELS:
        if options.model in (None, model.key):
            results = comparison.compare(model, who, plan)
            show(results)
            wrong |= not all(each.holds for each in results.agreements)
    return int(wrong)


def show(results: comparison.Results) -> None:
    """Prints the tables of one model."""
    reads, computes = results.bandwidth.median / 1e9, results.peak.median / 1e9
    print(f"{results.model}; two threads read {reads:.0f} GB/s and compute {computes:.0f} GFLOP/s in float32.\n")
    print(aligned(tables.speeds(results.rows)), "\n")
    if results.starts:
        print(aligned(tables.beginnings(results.starts)), "\n")
    if results.agreements:
        print(aligned(tables.agreements(results.agreements)), "\n")


if __name__ == "__main__":
    sys.exit(main())
