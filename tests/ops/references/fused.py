"""References of the ops that passes make. Their cases are what the passes make them of."""

from __future__ import annotations

import numpy as np

REFERENCES = {"matmul_transposed": np.matmul}
