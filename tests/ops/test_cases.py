"""Every case of every op is compiled, run and compared with its NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.catalogue import CASES, REFERENCES
from tests.ops.harness import Case, run


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op}: {case}")
@pytest.mark.parametrize("strict", [False, True], ids=["carried", "strict"])
def test_the_result_is_the_reference(case: Case, strict: bool) -> None:
    """In the precision that the device carries, and rounded after every operation."""
    with np.errstate(all="ignore"):
        run(case, REFERENCES, strict=strict)
