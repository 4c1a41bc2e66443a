"""All operations of generated programs, in groups that are drawn from equally often."""

from __future__ import annotations

from tests.properties.control import CONTROL
from tests.properties.indexing import INDEXING
from tests.properties.knowledge import KNOWLEDGE
from tests.properties.neural import NEURAL
from tests.properties.operations import COMPUTING
from tests.properties.scope import Operation
from tests.properties.shaping import SHAPING
from tests.properties.structures import STRUCTURES

KINDS: tuple[tuple[Operation, ...], ...] = (
    COMPUTING,
    COMPUTING,
    SHAPING,
    INDEXING,
    CONTROL,
    KNOWLEDGE,
    NEURAL,
    STRUCTURES,
)
