"""Small vocabularies for tests of tokenizers, and GGUF files that hold nothing else.

`byte_level` joins pairs of everything that the texts hold, pairs of these and so on, so that ids tell wherever a
pre-tokenizer split or did not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def byte_letters() -> list[str]:
    """The letter for each byte in vocabularies of bytes, as GPT-2 chose them."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def joined_pairs(words: Iterable[str], rounds: int) -> list[tuple[str, str]]:
    """Merges: all pairs of letters in order, all pairs of such pairs, and so on."""
    merges: dict[tuple[str, str], None] = {}
    for size in (2**i for i in range(rounds)):
        for word in words:
            for begin in range(len(word) - 2 * size + 1):
                merges[word[begin : begin + size], word[begin + size : begin + 2 * size]] = None
    return list(merges)


def byte_level(texts: Iterable[str], rounds: int = 4) -> tuple[list[str], list[str]]:
    """Tokens and merges of a vocabulary of bytes."""
    letters = byte_letters()
    merges = joined_pairs(["".join(letters[byte] for byte in text.encode()) for text in texts], rounds)
    tokens = dict.fromkeys([*letters, *(a + b for a, b in merges)])
    return list(tokens), [f"{a} {b}" for a, b in merges]


def sentence_pieces(texts: Iterable[str], rounds: int = 3) -> tuple[list[str], list[float], list[int]]:
    """Tokens, scores and types of an SPM vocabulary: the bytes, and pairs; later ones have lower scores."""
    # llama.cpp ends a token at its first zero.
    words = [text.replace(" ", "\u2581").replace("\0", "") for text in texts]
    merges = joined_pairs(words, rounds)
    letters = sorted({letter for word in words for letter in word if letter.isascii() or letter == "\u2581"})
    first = {"<unk>": UNKNOWN, "<s>": CONTROL, "</s>": CONTROL, **{f"<0x{i:02X}>": BYTE for i in range(256)}}
    tokens = dict.fromkeys([*first, *(a + b for a, b in merges), *letters])
    types = [first.get(token, NORMAL) for token in tokens]
    scores = [0.0 if token in first else -float(place) for place, token in enumerate(tokens)]
    return list(tokens), scores, types


def write_vocabulary(path: Path, metadata: Mapping[str, Any], architecture: str = "llama") -> Path:
    """A GGUF file without tensors. Keys stand below `tokenizer.ggml.`, but for those with a dot.

    What llama.cpp wants to know of a model before it reads a vocabulary is there, too.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-12)
    for key, value in metadata.items():
        name = key if "." in key else f"tokenizer.ggml.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_array(name, list(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def bpe_file(path: Path, texts: Sequence[str], pre: str, **metadata: Any) -> Path:
    """A GGUF file of a vocabulary of bytes, with two control tokens behind it."""
    tokens, merges = byte_level(texts)
    types = [NORMAL] * len(tokens) + [CONTROL, CONTROL]
    count = len(tokens)
    tokens = [*tokens, "<|begin|>", "<|im_end|>"]
    given = {"model": "gpt2", "pre": pre, "tokens": tokens, "token_type": types, "merges": merges}
    return write_vocabulary(path, given | {"bos_token_id": count, "eos_token_id": count + 1} | metadata)


def spm_file(path: Path, texts: Sequence[str], **metadata: Any) -> Path:
    """A GGUF file of a vocabulary of SPM: byte fallback, two scores in which pairs tie, a token that a user defined."""
    tokens, scores, types = sentence_pieces(texts)
    tokens, scores, types = [*tokens, "<|tool|>"], [*scores, 0.0], [*types, USER_DEFINED]
    given = {"model": "llama", "pre": "default", "tokens": tokens, "scores": scores, "token_type": types}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0}
    return write_vocabulary(path, given | ids | metadata)


def letters_file(path: Path, texts: Sequence[str], **metadata: Any) -> Path:
    """A GGUF file of a vocabulary of letters with merges, as Gemma 4 has them: byte fallback, lines by themselves."""
    words = [line for text in texts for line in text.replace(" ", "\u2581").replace("\0", "").split("\n")]
    # Some scripts by letters, the others by bytes.
    letters = sorted({letter for word in words for letter in word if letter < "\u0500" or letter == "\u2581"})
    merges = [(a, b) for a, b in joined_pairs(words, 3) if set(a + b) <= set(letters)]
    first = {"<pad>": CONTROL, "<eos>": CONTROL, "<bos>": CONTROL, **{f"<0x{i:02X}>": BYTE for i in range(256)}}
    tokens = list(dict.fromkeys([*first, "\n", "\n\n", *letters, *(a + b for a, b in merges)]))
    types = [first.get(token, NORMAL) for token in tokens]
    joined = ["\n \n", *(f"{a} {b}" for a, b in merges)]
    given = {"model": "gemma4", "tokens": tokens, "token_type": types, "merges": joined}
    return write_vocabulary(path, given | {"bos_token_id": 2, "eos_token_id": 1} | metadata)


def wordpiece_file(path: Path, folder: Path, **metadata: Any) -> Path:
    """A GGUF file of the vocabulary of a folder with WordPiece, as llama.cpp's converter writes it."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    special = {token["content"] for token in content["added_tokens"]}
    names = sorted(vocabulary, key=vocabulary.__getitem__)
    tokens = [t if t in special else t[2:] if t.startswith("##") else f"\u2581{t}" for t in names]
    types = [CONTROL if token in special else NORMAL for token in names]
    ids = {
        f"{key}_token_id": vocabulary[token]
        for key, token in {
            "bos": "[CLS]",
            "cls": "[CLS]",
            "eos": "[SEP]",
            "seperator": "[SEP]",
            "unknown": "[UNK]",
            "padding": "[PAD]",
            "mask": "[MASK]",
        }.items()
    }
    given = {"model": "bert", "pre": "default", "tokens": tokens, "token_type": types, "token_type_count": 2}
    return write_vocabulary(path, given | ids | metadata, "bert")
