"""Makes `reference.json`: what all-MiniLM-L6-v2 gives for some texts, computed by PyTorch in float32.

Takes: the model's folder (`model.safetensors`, `tokenizer.json`). Needs torch, safetensors and tokenizers, which the
project itself does not: run it in an environment of its own,

    pip install torch==2.13.0 safetensors tokenizers
    python tests/data/minilm/make_reference.py FOLDER

Promises: for each text its token ids and the sentence vector, 384 numbers of length 1 with seven decimals. Texts are
run one by one, so no padding takes part.

The model is BERT (Devlin et al., 2018) with six layers of twelve heads, exact GELU, layer norm after each residual;
the vector is the mean of the last layer over all tokens, scaled to length 1. `tokenizer.json` cuts at 128 tokens, the
model's sentence-transformers configuration at 256: the latter is the model's documented length, and is used here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn.functional import gelu, layer_norm, normalize

LAYERS = 6
HEADS = 12
EPS = 1e-12
LONGEST = 256
DECIMALS = 7

TEXTS = {
    "plain": "A man is eating food.",
    "paraphrase": "Someone has a meal.",
    "unrelated": "The weather is lovely today.",
    "empty": "",
    "blank": " \t\n ",
    "one letter": "a",
    "french": "Il fait très beau aujourd'hui.",
    "russian": "Мужчина ест еду.",
    "chinese": "一个男人在吃东西。",
    "arabic": "رجل يأكل الطعام",
    "emoji": "👩‍👩‍👧 love 🍕!",
    "code": "def f(x):\n    return x ** 2  # squared",
    "unknown": "\u16a0\u16a2 zzzzqqqqxx 1234567890.5e-7",
    "special tokens": "[CLS] hello [MASK] [SEP] [PAD]",
    "just fits": "word " * (LONGEST - 2),
    "too long": "The quick brown fox jumps over the lazy dog, and then it does so again. " * 40,
}

Weights = dict[str, torch.Tensor]


def main() -> None:
    folder = Path(sys.argv[1])
    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    cases = []
    with torch.inference_mode():
        for name, text in TEXTS.items():
            ids = tokenizer.encode(text).ids
            vector = sentence_vector(torch.tensor(ids), weights)
            cases.append(
                {"name": name, "text": text, "ids": ids, "vector": [round(x, DECIMALS) for x in vector.tolist()]}
            )
    content = {"model": "all-MiniLM-L6-v2", "torch": torch.__version__, "max_length": LONGEST, "cases": cases}
    # One case a line: readable differences, and no line for each of the 384 numbers.
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    head = json.dumps({**content, "cases": []}, indent=1)[:-4]
    target = Path(__file__).with_name("reference.json")
    target.write_text(f"{head}[\n{lines}\n]\n}}\n", encoding="utf-8")


def sentence_vector(ids: torch.Tensor, w: Weights) -> torch.Tensor:
    """`ids` [L] to a vector [384] of length 1."""
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm", w)
    for layer in range(LAYERS):
        x = encoder_layer(x, f"encoder.layer.{layer}", w)
    return normalize(x.mean(dim=0), dim=0)


def encoder_layer(x: torch.Tensor, name: str, w: Weights) -> torch.Tensor:
    """`x` [L, D] to [L, D]."""
    attended = attention(x, f"{name}.attention.self", w)
    x = norm(x + linear(attended, f"{name}.attention.output.dense", w), f"{name}.attention.output.LayerNorm", w)
    inner = gelu(linear(x, f"{name}.intermediate.dense", w))
    return norm(x + linear(inner, f"{name}.output.dense", w), f"{name}.output.LayerNorm", w)


def attention(x: torch.Tensor, name: str, w: Weights) -> torch.Tensor:
    """`x` [L, D] to [L, D]: every token attends to every token."""
    length, width = x.shape
    queries, keys, values = (
        linear(x, f"{name}.{part}", w).view(length, HEADS, width // HEADS).transpose(0, 1)
        for part in ("query", "key", "value")
    )
    scores = queries @ keys.transpose(1, 2) / (width // HEADS) ** 0.5
    attended: torch.Tensor = (scores.softmax(dim=-1) @ values).transpose(0, 1).reshape(length, width)
    return attended


def linear(x: torch.Tensor, name: str, w: Weights) -> torch.Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(x: torch.Tensor, name: str, w: Weights) -> torch.Tensor:
    return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], EPS)


if __name__ == "__main__":
    main()
