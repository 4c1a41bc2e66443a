"""The whole comparison at one model: beginnings, agreement, speeds, and the slow ones once."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.language import agreement, contenders, measure, models, starts
from benchmarks.language.agreement import Agreement
from benchmarks.language.contenders import BASELINE, COMPARED, SLOW, Entrant
from benchmarks.language.measure import PREFILL_128, TASKS, Row
from benchmarks.language.models import LanguageModel
from benchmarks.language.protocol import Worker
from benchmarks.language.rounds import Allowance, Spread, spread
from benchmarks.language.starts import Start


@dataclass(frozen=True)
class Plan:
    """How long everything may take, by the task's name; None leaves a part out."""

    tasks: Mapping[str, Allowance]
    starts: Allowance | None = None
    agreement: bool = True
    slow: bool = True

    def only(self, text: str) -> Plan:
        """The tasks in whose name `text` is, and nothing else."""
        return Plan({name: each for name, each in self.tasks.items() if text in name}, None, False, False)


QUICK = Plan(
    {
        "prefill 128": Allowance(3, 24, 6),
        "prefill 512": Allowance(2, 24, 12),
        "decode 64 after 128": Allowance(1, 8, 8),
        "decode 64 after 2,000": Allowance(1, 4, 20),
    },
    slow=False,
)
FULL = Plan(
    {
        "prefill 128": Allowance(6, 40, 25),
        "prefill 512": Allowance(4, 24, 40),
        "decode 64 after 128": Allowance(2, 16, 30),
        "decode 64 after 2,000": Allowance(1, 8, 60),
    },
    # Of three, medians of ratios went from 0.9 to 1.8 on a busy machine; of seven, from 0.9 to 1.02 on the same day.
    starts=Allowance(17, 24, 150),
)


@dataclass(frozen=True)
class Results:
    """Everything measured at one model; and what the machine could do meanwhile, in bytes and operations a second."""

    model: str
    bandwidth: Spread
    peak: Spread
    rows: list[Row]
    starts: list[Start]
    agreements: list[Agreement]


def compare(model: LanguageModel, entrants: Sequence[Entrant], plan: Plan) -> Results:
    """The contenders that are present, at one model. Those that are 50 times slower take part once, in one task."""
    steady = [entrant for entrant in entrants if entrant.name not in SLOW]
    slow = [entrant for entrant in entrants if entrant.name in SLOW]
    begun = starts.measure(model, steady, COMPARED, plan.starts) if plan.starts else []
    rows: list[Row] = []
    bandwidths: list[float] = []
    peaks: list[float] = []
    agreements: list[Agreement] = []
    with ExitStack() as running:
        machine = running.enter_context(contenders.machine())

        def opened(entrant: Entrant) -> Worker:
            worker = running.enter_context(entrant.start())
            worker.ask("open", path=str(model.path), capacity=measure.CAPACITY)
            return worker

        workers = [opened(entrant) for entrant in steady]
        baseline = next((worker for worker in workers if worker.name == BASELINE), None)
        if plan.agreement and baseline:
            agreements = agreement.measure(model.name, [w for w in workers if w is not baseline], baseline)
        for task in TASKS:
            if task.name in plan.tasks:
                measure.warm_up(task, workers)
                turns = measure.measure(task, workers, BASELINE, machine, plan.tasks[task.name])
                rows += measure.rows(model.name, task, measure.quiet(turns), COMPARED, _bytes(model, task, workers))
                bandwidths += [turn.bandwidth for turn in turns]
                peaks += [machine.number("peak", "operations") for _ in range(2)]
        if plan.slow and slow:
            once = [*([baseline] if baseline else []), *(opened(entrant) for entrant in slow)]
            turns = measure.measure(PREFILL_128, once, BASELINE, machine, Allowance(1, 1, 0))
            found = measure.rows(model.name, PREFILL_128, turns, COMPARED, {})
            rows += [row for row in found if row.contender in SLOW]
    return Results(model.name, spread(bandwidths), spread(peaks), rows, begun, agreements)


def present(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Those who can take part; a line on stderr says why each of the others cannot."""
    found = []
    for entrant in entrants:
        why = entrant.missing()
        if why is None:
            found.append(entrant)
        else:
            print(why, file=sys.stderr)
    return found


def _bytes(model: LanguageModel, task: measure.Task, workers: Sequence[Worker]) -> dict[str, int]:
    """What a token in the middle of the task reads, by contender: as it says itself, or as the file has it."""
    if task.context is None:
        return {}
    context = task.context + task.tokens // 2
    found = {}
    for worker in workers:
        own = worker.ask("bytes_read", context=context)["bytes"]
        found[worker.name] = own if isinstance(own, int) else models.bytes_read(model.path, context)
    return found
