"""Makes `reference.json`: the ids that llama.cpp gives to the texts of `torture.py`.

    python -m venv ../reference && ../reference/bin/pip install llama-cpp-python==0.3.36 gguf
    PYTHONPATH=. ../reference/bin/python tests/data/text/make_reference.py

from the root of the repository, with the model files in their cache (`make setup`). For each vocabulary the file has
the ids without what is added to every text, with special tokens taken as text (`ids`) and as themselves (`special`,
where that differs), and which tokens end a generation. Vocabularies: the two models; one of bytes
(`tests/runtime/vocabularies.py`) with each kind of pre-tokenizer; small ones of the other kinds; WordPiece with the
vocabulary of all-MiniLM-L6-v2.
"""

from __future__ import annotations

import ctypes
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp

from tensorlogic.runtime.text.pre_tokenizers import PRE_TOKENIZERS
from tests.data.text.torture import TEXTS
from tests.runtime import vocabularies
from tools.fetch_models import cache_folder

HERE = Path(__file__).parent


def main() -> None:
    found: dict[str, Any] = {
        "smollm2": reference(cache_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf"),
        "gemma3": reference(cache_folder() / "gemma-3-270m.Q4_K_M.gguf"),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocabulary.gguf"
        kinds: dict[str, list[list[int]]] = {}
        # Names that mean the same share their ids.
        same: dict[Any, str] = {}
        for pre, meaning in PRE_TOKENIZERS.items():
            if meaning.bytes and same.setdefault(meaning, pre) == pre:
                kinds[pre] = reference(vocabularies.bpe_file(path, TEXTS, pre))["ids"]
        found["pre"] = kinds
        for name, write in SMALL.items():
            found[name] = reference(write(path))
    lines = ",\n".join(f"{json.dumps(name)}: {compact(value)}" for name, value in found.items())
    (HERE / "reference.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")


SMALL: dict[str, Callable[[Path], Path]] = {
    "spm": lambda path: vocabularies.spm_file(path, TEXTS),
    "spm with spaces": lambda path: vocabularies.spm_file(path, TEXTS, add_space_prefix=False),
    "gemma4": lambda path: vocabularies.letters_file(path, TEXTS),
    "wordpiece": lambda path: vocabularies.wordpiece_file(path, cache_folder() / "all-MiniLM-L6-v2"),
}


def reference(path: Path) -> dict[str, Any]:
    """The ids of every text, and the tokens that end a generation."""
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    vocab = llama_cpp.llama_model_get_vocab(model._model.model)
    ids = [encoded(vocab, text, parse=False) for text in TEXTS]
    special = [encoded(vocab, text, parse=True) for text in TEXTS]
    count = llama_cpp.llama_vocab_n_tokens(vocab)
    return {
        "ids": ids,
        "special": {str(i): there for i, (plain, there) in enumerate(zip(ids, special, strict=True)) if plain != there},
        "whole": encoded(vocab, TEXTS[4], parse=False, add=True),
        "ends": [i for i in range(count) if llama_cpp.llama_vocab_is_eog(vocab, i)],
    }


def encoded(vocab: Any, text: str, *, parse: bool, add: bool = False) -> list[int]:
    data = text.encode()
    room = 4 * len(data) + 16
    tokens = (ctypes.c_int32 * room)()
    count = llama_cpp.llama_tokenize(vocab, data, len(data), tokens, room, add, parse)
    assert count >= 0
    return list(tokens[:count])


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
