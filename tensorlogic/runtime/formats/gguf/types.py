"""GGUF's tensor types, by the number that a file has for them: the sizes of their blocks, and how they are held.

The numbers and sizes are those of ggml (https://github.com/ggml-org/ggml/blob/master/include/ggml.h, `ggml_type`, and
the block structures of `src/ggml-common.h`). A type with a layout is repacked into it without changing a value, by
`repack_legacy`, `repack_k`, `repack_small` and `repack_grid`, where the device multiplies by that layout; every other
quantized type is expanded by GGUF's own library. Q8_1, Q8_K and Q1_0 have no decoder there: they are named, and refused
when they are read. Nothing here imports NumPy, since the compiler reads headers, too.
"""

from __future__ import annotations

from tensorlogic.runtime.formats.header import PackedLayout, Storage

_FLOAT, _INT = "float16", "int32"

_DENSE = {
    0: Storage("F32", _FLOAT, 1, 4),
    1: Storage("F16", _FLOAT, 1, 2),
    24: Storage("I8", _INT, 1, 1),
    25: Storage("I16", _INT, 1, 2),
    26: Storage("I32", _INT, 1, 4),
    27: Storage("I64", _INT, 1, 8),
    28: Storage("F64", _FLOAT, 1, 8),
    30: Storage("BF16", _FLOAT, 1, 2),
}

_REPACKED = {
    2: Storage("Q4_0", _FLOAT, 32, 18, PackedLayout(4, 32)),
    3: Storage("Q4_1", _FLOAT, 32, 20, PackedLayout(4, 32)),
    6: Storage("Q5_0", _FLOAT, 32, 22, PackedLayout(5, 32)),
    7: Storage("Q5_1", _FLOAT, 32, 24, PackedLayout(5, 32)),
    8: Storage("Q8_0", _FLOAT, 32, 34, PackedLayout(8, 32)),
    10: Storage("Q2_K", _FLOAT, 256, 84, PackedLayout(2, 16)),
    11: Storage("Q3_K", _FLOAT, 256, 110, PackedLayout(3, 16)),
    12: Storage("Q4_K", _FLOAT, 256, 144, PackedLayout(4, 32)),
    13: Storage("Q5_K", _FLOAT, 256, 176, PackedLayout(5, 32)),
    14: Storage("Q6_K", _FLOAT, 256, 210, PackedLayout(6, 16)),
    16: Storage("IQ2_XXS", _FLOAT, 256, 66, PackedLayout(8, 32)),
    18: Storage("IQ3_XXS", _FLOAT, 256, 98, PackedLayout(6, 32)),
    19: Storage("IQ1_S", _FLOAT, 256, 50, PackedLayout(2, 32)),
    20: Storage("IQ4_NL", _FLOAT, 32, 18, PackedLayout(8, 32)),
    21: Storage("IQ3_S", _FLOAT, 256, 110, PackedLayout(5, 32)),
    23: Storage("IQ4_XS", _FLOAT, 256, 136, PackedLayout(8, 32)),
    34: Storage("TQ1_0", _FLOAT, 256, 54, PackedLayout(2, 128)),
    35: Storage("TQ2_0", _FLOAT, 256, 66, PackedLayout(2, 128)),
    39: Storage("MXFP4", _FLOAT, 32, 17, PackedLayout(4, 32, "mxfp4")),
    40: Storage("NVFP4", _FLOAT, 64, 36, PackedLayout(4, 16, "nvfp4")),
}

_EXPANDED = {
    17: Storage("IQ2_XS", _FLOAT, 256, 74),
    22: Storage("IQ2_S", _FLOAT, 256, 82),
    29: Storage("IQ1_M", _FLOAT, 256, 56),
}

_NAMED_ONLY = {
    9: Storage("Q8_1", _FLOAT, 32, 36, readable=False),
    15: Storage("Q8_K", _FLOAT, 256, 292, readable=False),
    41: Storage("Q1_0", _FLOAT, 128, 18, readable=False),
}

STORAGES = _DENSE | _REPACKED | _EXPANDED | _NAMED_ONLY
