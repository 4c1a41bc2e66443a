"""The vocabulary of a GGUF file, from its metadata alone, checked but for what merges join (`bpe.py`).

Takes the metadata (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, `tokenizer.ggml.*`), which may have been
written by anyone. Promises: as many scores and types as there are tokens, no token twice, ids that exist, scores that
are numbers. Vocabularies are large, and opened before a first answer: what is done for each token is done by loops of
the interpreter and NumPy, not of this file, and merges that our CPU kernels read are not decoded.

Refuses, with a `ModelFileError`: a file without a tokenizer (TL4402), a kind of tokenizer or of pre-tokenizer that is
not known, by name (TL4404), and everything that contradicts itself (TL4405).
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, cast

import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import MetadataValue
from tensorlogic.runtime.formats.gguf import quick
from tensorlogic.runtime.formats.gguf.header import Metadata
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.text import ends
from tensorlogic.runtime.text.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer

UNDEFINED, NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(7)
"""The types of tokens, as the format numbers them."""

MAX_TOKEN_BYTES = 65_536
"""A thousand times the longest tokens that are in use."""

_KEY = "tokenizer.ggml."
_KINDS = ("bert", "gemma4", "gpt2", "llama")
_DEFAULT_IDS = {
    "llama": {"bos": 1, "eos": 2, "unknown": 0},
    "bert": {"bos": 101, "unknown": 100, "seperator": 102, "padding": 0, "mask": 103},
}
"""What is meant where a file of this kind names no id. The format itself spells `seperator`."""


@dataclass(frozen=True, slots=True)
class RawLists:
    """Tokens and merges as the file has them, lists of GGUF's strings, and how many they are."""

    tokens: bytes
    token_count: int
    merges: bytes
    merge_count: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a GGUF file says of its tokenizer.

    `kind` is `gpt2` (merges), `llama` (scores) or `bert` (longest matches). `types` has the types after what the
    tokens' texts say of them (`ends.py`). Ids are None where there is no such token. `scores` and `merges` are empty
    where the kind has none. A merge is two texts with a space between; whether these are tokens is for `bpe.py` to see.
    Where `raw` is there, for our CPU kernels, merges are decoded when they are first asked for, which may refuse them.
    """

    path: Path
    kind: str
    pre: PreTokenizer | None
    index: dict[str, int] = field(repr=False)
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    scores: Sequence[float]
    merges: Callable[[], Collection[str]] = field(repr=False)
    raw: RawLists | None = field(repr=False)
    bos_id: int | None
    eos_id: int | None
    unknown_id: int | None
    separator_id: int | None
    end_ids: tuple[int, ...]
    adds_bos: bool
    adds_eos: bool
    adds_space: bool
    lowercase: bool
    strips_accents: bool
    chat_template: str | None

    def special_ids(self) -> dict[str, int]:
        """The tokens that are no text: what controls the model, and the unknown one."""
        return self.of_types(CONTROL, UNKNOWN)

    def of_types(self, *types: int) -> dict[str, int]:
        """The tokens of some types."""
        places = np.flatnonzero(np.isin(np.frombuffer(bytes(self.types), np.uint8), types))
        return {self.tokens[i]: i for i in places.tolist()}

    def but_of_types(self, *types: int) -> dict[str, int]:
        """The tokens of all other types."""
        index = self.index.copy()
        for token in self.of_types(*types):
            del index[token]
        return index


def damage(path: Path, reason: str) -> ModelFileError:
    """What is raised where a vocabulary contradicts itself."""
    return ModelFileError("TL4405", f"the vocabulary of `{path}` is damaged: {reason}")


def read_vocabulary(path: Path, metadata: Mapping[str, MetadataValue]) -> Vocabulary:
    """The checked vocabulary of a file's metadata. `path` is for messages."""
    return _Reader(path, metadata).vocabulary()


def _is_made(token: str, merges: Collection[str]) -> bool:
    """Whether a merge makes this token."""
    return any(f"{token[:cut]} {token[cut:]}" in merges for cut in range(1, len(token)))


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    metadata: Mapping[str, MetadataValue]

    def vocabulary(self) -> Vocabulary:
        kind, pre = self.kind()
        raw = self.raw() if kind == "gpt2" else None
        index = self.tokens()
        tokens = tuple(index)
        types = self.types(len(tokens))
        ids = {name: self.token_id(kind, name, len(tokens)) for name in _IDS}
        merges: Callable[[], Collection[str]] = tuple
        if kind == "gpt2":
            merges = functools.cache(self.merges)
            if raw is None:
                merges()
        end_ids, changes = ends.decide(index, {name: ids[name] for name in ends.KEYS})
        changed = list(types)
        for i, type in changes.items():
            # What merges make is text, whatever it reads like: `</s>` is a tag of HTML to some vocabularies.
            if types[i] != NORMAL or not _is_made(tokens[i], merges()):
                changed[i] = type
        types = tuple(changed)
        adds_bos = self.flag("add_bos_token", kind != "gpt2" or (pre is not None and pre.adds_bos))
        adds_eos = self.flag("add_eos_token", False)
        if pre is not None and not pre.bytes and pre.adds_bos:
            # llama.cpp does so, too: Gemma 4 needs one, and some of its files deny it.
            adds_bos = True
        if kind == "bert" and (ids["bos"] is None or ids["seperator"] is None or ids["unknown"] is None):
            self.damaged("it names no token for unknown words, or for the beginning or the end of a text")
        if adds_bos and ids["bos"] is None:
            self.damaged(f"`{_KEY}add_bos_token` asks for a token that it does not name")
        if adds_eos and ids["eos"] is None:
            self.damaged(f"`{_KEY}add_eos_token` asks for a token that it does not name")
        lowercase = self.flag("normalizer.lowercase", True)
        return Vocabulary(
            self.path,
            kind,
            pre,
            index,
            tokens,
            types,
            self.scores(len(tokens)) if kind == "llama" else (),
            merges,
            raw,
            ids["bos"],
            ids["eos"],
            ids["unknown"],
            ids["seperator"],
            end_ids,
            adds_bos,
            adds_eos,
            self.flag("add_space_prefix", True) if kind == "llama" else False,
            lowercase,
            self.flag("normalizer.strip_accents", lowercase),
            self.chat_template(),
        )

    def raw(self) -> RawLists | None:
        """Of a file's own metadata, before it is asked for tokens; for the kernels, if somebody has loaded them."""
        if quick.kernels is None or not isinstance(self.metadata, Metadata):
            return None
        tokens, merges = (self.metadata.raw_strings(_KEY + name) for name in ("tokens", "merges"))
        return None if tokens is None or merges is None else RawLists(*tokens, *merges)

    def kind(self) -> tuple[str, PreTokenizer | None]:
        kind = self.string("model")
        if kind is None or kind in ("none", "no_vocab"):
            raise ModelFileError("TL4402", f"there is no tokenizer in `{self.path}`")
        if kind not in _KINDS:
            self.unknown("tokenizer", kind, _KINDS)
        if kind in ("bert", "llama"):
            return kind, None
        name = "gemma4" if kind == "gemma4" else self.string("pre")
        if name is None:
            message = f"`{self.path}` does not say how its tokenizer cuts texts: it has no `{_KEY}pre`"
            raise ModelFileError(
                "TL4404",
                message,
                notes=["a tokenizer that cuts texts in another way gives ids that the model has never seen"],
                helps=["convert the model again: converters write the key since May 2024"],
            )
        pre = PRE_TOKENIZERS.get(name)
        if pre is None:
            self.unknown("pre-tokenizer", name, PRE_TOKENIZERS)
        return "gpt2", pre

    def tokens(self) -> dict[str, int]:
        """In order, with their ids."""
        tokens = self.texts("tokens")
        if not tokens:
            self.damaged(f"its vocabulary, `{_KEY}tokens`, is missing or empty")
        # An empty token would be found everywhere; llama.cpp gives it this name.
        if "" in tokens:
            tokens = tuple(token or f"[EMPTY_{i}]" for i, token in enumerate(tokens))
        index = dict(zip(tokens, range(len(tokens)), strict=True))
        if len(index) < len(tokens):
            seen: set[str] = set()
            for i, token in enumerate(tokens):
                if token in seen:
                    self.damaged(f"token {i} of its vocabulary, `{shown(token)}`, is there before")
                seen.add(token)
        longest = max(tokens, key=len)
        if len(longest) > MAX_TOKEN_BYTES or len(longest.encode()) > MAX_TOKEN_BYTES:
            self.damaged(f"its vocabulary has a token of more than {MAX_TOKEN_BYTES} bytes")
        return index

    def types(self, count: int) -> tuple[int, ...]:
        if "token_type" not in self:
            return (NORMAL,) * count
        types = self.numbers("token_type", count)
        known = {t: int(t) if t in range(1, 7) else UNDEFINED for t in set(types)}
        return tuple(map(known.__getitem__, types))

    def scores(self, count: int) -> Sequence[float]:
        if "scores" not in self:
            self.damaged(f"a tokenizer of the kind `llama` joins letters by scores, and it has no `{_KEY}scores`")
        # Objects of Python would take four times the memory.
        scores = array("d", self.numbers("scores", count))
        if np.isnan(np.frombuffer(scores)).any():
            self.damaged(f"`{_KEY}scores` has values that are no numbers")
        return scores

    def merges(self) -> dict[str, None]:
        """In order; one that is there again says nothing new."""
        if "merges" not in self:
            self.damaged(f"a tokenizer of the kind `gpt2` joins bytes by merges, and it has no `{_KEY}merges`")
        return dict.fromkeys(self.texts("merges"))

    def chat_template(self) -> str | None:
        template = self.metadata.get("tokenizer.chat_template")
        if template is not None and not isinstance(template, str):
            self.damaged("its `tokenizer.chat_template` is no text")
        return template

    def token_id(self, kind: str, name: str, count: int) -> int | None:
        """An id by its name; None where the file names none, or one that does not exist."""
        value = next((self.get(key) for key in _IDS[name] if key in self), _DEFAULT_IDS.get(kind, {}).get(name))
        if value is not None and type(value) is not int:
            self.damaged(f"`{_KEY}{_IDS[name][0]}` is no whole number")
        # What is out of range is told by no id, as llama.cpp does: converters write -1 or 2**32 - 1 for "none".
        return value if isinstance(value, int) and 0 <= value < count else None

    def flag(self, name: str, otherwise: bool) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            self.damaged(f"`{_KEY}{name}` is neither true nor false")
        return otherwise if value is None else value

    def string(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            self.damaged(f"`{_KEY}{name}` is no text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.get(name)
        if not isinstance(value, tuple) or not set(map(type, value)) <= {str}:
            self.damaged(f"`{_KEY}{name}` is no list of texts")
        return cast("tuple[str, ...]", value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        value = self.get(name)
        if not isinstance(value, tuple) or not set(map(type, value)) <= {int, float}:
            self.damaged(f"`{_KEY}{name}` is no list of numbers")
        if len(value) != count:
            self.damaged(f"it has {count} tokens, but {len(value)} items in `{_KEY}{name}`")
        return cast("tuple[float, ...]", value)

    def get(self, name: str) -> MetadataValue | None:
        return self.metadata.get(_KEY + name)

    def __contains__(self, name: str) -> bool:
        return _KEY + name in self.metadata

    def damaged(self, reason: str) -> NoReturn:
        raise damage(self.path, reason)

    def unknown(self, what: str, name: str, known: Mapping[str, object] | tuple[str, ...]) -> NoReturn:
        raise ModelFileError(
            "TL4404",
            f"`{self.path}` has a {what} of the kind `{shown(name)}`, which is not known",
            notes=["a tokenizer that is nearly right gives ids that the model has never seen"],
            helps=[f"known are {', '.join(sorted(known))}"],
        )


_IDS = {
    "bos": ("bos_token_id",),
    "eos": ("eos_token_id",),
    "unknown": ("unknown_token_id",),
    "seperator": ("seperator_token_id",),
    "eot": ("eot_token_id",),
    "eom": ("eom_token_id",),
    "fim_pad": ("fim_pad_token_id",),
    "fim_rep": ("fim_rep_token_id",),
    "fim_sep": ("fim_sep_token_id",),
}
"""The ids that are used, with their keys."""
