"""The likeliest tokens beside llama.cpp's, where a package of it is installed (`pip install .[bench]`)."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import KVCache, load_model
from tensorlogic.runtime.generating import bound
from tests.models import GEMMA3, SMOLLM2, model_path

pytest.importorskip("llama_cpp", reason="llama.cpp is compared with where it is installed: it takes minutes to build")

TEXT = "The tide comes in twice a day because the moon draws the water of the oceans"
TOKENS = 48
CLOSE = 0.8
"""Between the best two logits. llama.cpp rounds activations to 8 bits, which moves single logits by up to 3, and the
difference of two by less than this but in one of some hundred places."""


@pytest.mark.parametrize("file", [SMOLLM2, GEMMA3], ids=str)
def test_greedy_tokens(file: str) -> None:
    """Both go on with llama.cpp's token, so that one place of two near ones does not part the texts."""
    from benchmarks.language.llama import Llama

    path = model_path(file)
    theirs = Llama()
    theirs.open(path, 256)
    ids = theirs.tokens(TEXT)
    ours = bound(load_model(path))
    assert ours.tokenizer.encode(TEXT) == ids

    expected, cache = theirs.prefill(ids), KVCache()
    logits, cache = ours.step(ours.net, mx.array([ids], mx.int32), cache)
    clear = 0
    for place in range(TOKENS):
        token, found = int(expected.argmax()), np.asarray(logits[0].astype(mx.float32))
        second, best = np.sort(found)[-2:]
        if best - second >= CLOSE:
            clear += 1
            assert int(found.argmax()) == token, f"another token at place {place}"
        expected = theirs.step(token)
        logits, cache = ours.step(ours.net, mx.array([[token]], mx.int32), cache)
    assert clear >= TOKENS // 2
