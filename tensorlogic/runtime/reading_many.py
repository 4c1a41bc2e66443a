"""Many tensors read at once, handed over in order.

Takes jobs of `reading`, which are begun one by one, and a number of threads. What our CPU kernels can read goes to
threads of theirs, which do not need Python's lock, and is read by who waits, too; the rest to a pool, neighbours that
are small together. Promises: an error comes when it is its tensor's turn; under way are at most 128 MB of what the
kernels read, and of the rest one large tensor for each thread and some groups of small ones; whoever stops before the
end waits for no more than what a thread has begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from tensorlogic.runtime import kernels
from tensorlogic.runtime.formats.pieces import told
from tensorlogic.runtime.packed import Tensor
from tensorlogic.runtime.reading import Job

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Reader

_AHEAD_BYTES = 1 << 27
"""What the kernels are asked for before the first of it is waited for."""
_TOGETHER = 1 << 22
"""Bytes of a group of small tensors."""
_MANY = 64
"""How many a group has at most."""
_AHEAD = 4
"""So many groups for each thread, so that none waits for a large tensor that is handed over first."""


def read_in_order(
    jobs: Iterable[Job[Any]], threads: int, meanwhile: Callable[[], object] | None = None
) -> Iterator[tuple[Tensor, int]]:
    """What each job gives, in order. `meanwhile` is called once, before the first of it is waited for."""
    if threads == 1:
        yield from (job.finish(job.fill()) for job in jobs)
        return
    with ThreadPoolExecutor(threads, "tensorlogic-read") as pool:
        under_way = _UnderWay(pool, threads, meanwhile)
        try:
            # `jobs` begins the next one only after this.
            for job in jobs:
                under_way.begin(job)
                while under_way.is_full():
                    yield under_way.next()
            while under_way.jobs:
                yield under_way.next()
        finally:
            # Else Ctrl-C would wait until a large tensor is read.
            under_way.give_up()


class _UnderWay:
    """Jobs that were begun and are not handed over yet, each with what waits for it."""

    def __init__(self, pool: ThreadPoolExecutor, threads: int, meanwhile: Callable[[], object] | None) -> None:
        self.jobs: deque[tuple[Job[Any], Callable[[], Any]]] = deque()
        self._pool = pool
        self._threads = threads
        self._meanwhile = meanwhile
        self._groups: deque[_Group] = deque()
        self._open = _Group()
        self._ahead_bytes = 0
        self._given_up = Event()
        module = kernels.status().module
        self._reader: Reader | None = None if module is None else module.Reader(threads - 1)

    def begin(self, job: Job[Any]) -> None:
        if job.ahead is not None and self._reader is not None:
            self._ahead_bytes += job.nbytes
            self.jobs.append((job, partial(self._read_ahead, job, job.ahead(self._reader))))
            return
        group = self._open
        self.jobs.append((job, partial(self._of_group, group, len(group.jobs))))
        group.jobs.append(job)
        group.nbytes += job.nbytes
        if group.nbytes >= _TOGETHER or len(group.jobs) == _MANY:
            self._submit()

    def is_full(self) -> bool:
        large = sum(group.is_large for group in self._groups)
        return (
            self._ahead_bytes >= _AHEAD_BYTES or large >= self._threads or len(self._groups) == _AHEAD * self._threads
        )

    def next(self) -> tuple[Tensor, int]:
        """What the first of them gives."""
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        job, wait = self.jobs.popleft()
        return job.finish(wait())

    def give_up(self) -> None:
        self._given_up.set()
        if self._reader is not None:
            self._reader.close()
        for group in self._groups:
            assert group.outcomes is not None, "it was submitted"
            group.outcomes.cancel()

    def _read_ahead(self, job: Job[Any], wait: Callable[[], Any]) -> Any:
        found = wait()
        self._ahead_bytes -= job.nbytes
        return job.fill() if found is None else found

    def _of_group(self, group: _Group, place: int) -> Any:
        if group is self._open:
            self._submit()
        assert group.outcomes is not None, "it was submitted"
        outcomes = group.outcomes.result()
        if place == len(group.jobs) - 1:
            self._groups.popleft()
        outcome = outcomes[place]
        if outcome.problem is not None:
            raise outcome.problem
        return outcome.value

    def _submit(self) -> None:
        group, self._open = self._open, _Group()
        group.outcomes = self._pool.submit(_fill, group, self._given_up)
        self._groups.append(group)


@dataclass(slots=True)
class _Group:
    """Jobs that one thread does together: handing one to a thread takes as long as reading some hundred kilobytes."""

    jobs: list[Job[Any]] = field(default_factory=list)
    nbytes: int = 0
    outcomes: Future[list[_Outcome]] | None = None

    @property
    def is_large(self) -> bool:
        return self.nbytes >= 2 * _TOGETHER


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What filling a job gave, or raised when it was its turn."""

    value: Any = None
    problem: Exception | None = None


def _fill(group: _Group, given_up: Event) -> list[_Outcome]:
    """Read tensors up to one that cannot be, and up to the piece at which nobody wants them any more."""

    def go_on(_: int) -> None:
        if given_up.is_set():
            raise CancelledError

    outcomes: list[_Outcome] = []
    with told(go_on):
        for job in group.jobs:
            try:
                outcomes.append(_Outcome(job.fill()))
            except CancelledError:
                raise
            except Exception as problem:
                return [*outcomes, _Outcome(problem=problem)]
    return outcomes
