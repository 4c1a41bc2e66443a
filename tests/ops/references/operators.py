"""NumPy references of the operators on tensors."""

from __future__ import annotations

import numpy as np

REFERENCES = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "remainder": np.remainder,
    "power": np.power,
    "matmul": np.matmul,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.bitwise_and,
    "logical_or": np.bitwise_or,
    "negative": np.negative,
    "logical_not": np.invert,
}
