"""Which tokens end a generation, and which are control tokens although their file does not say so.

Takes a vocabulary and the ids that its file names. Promises the decisions of llama.cpp
(https://github.com/ggml-org/llama.cpp, src/llama-vocab.cpp), which go by the tokens' texts: many files name one end
alone, where the model was trained to end a turn with another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CONTROL, USER_DEFINED, NORMAL = 3, 4, 1

KEYS = ("eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep")
"""The ids that a file may name and that end a generation."""

ENDS = frozenset(
    {
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|flush|>",
        "<|calls|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "</s>",
        "<|eom_id|>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "[EOS]",
        "<|end_of_text|>",
        "<end_of_utterance>",
        "<eos>",
        "<turn|>",
        "<|tool_response>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "[e~[",
    }
)
"""Tokens that end a generation in every vocabulary that has them."""

_FILL = {
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}
"""Tokens of filling in code that end a generation, too: the first that a vocabulary has, where its file names none."""

_MARKS = (
    "<|fim_prefix|> <fim-prefix> <fim_prefix> <\uff5cfim\u2581begin\uff5c> "
    "<PRE> \u2581<PRE> <|code_prefix|> <|prefix|>",
    "<|fim_suffix|> <fim-suffix> <fim_suffix> <\uff5cfim\u2581hole\uff5c> <SUF> \u2581<SUF> <|code_suffix|> <|suffix|>",
    "<|fim_middle|> <fim-middle> <fim_middle> <\uff5cfim\u2581end\uff5c> <MID> \u2581<MID> <|code_middle|> <|middle|>",
)
"""Tokens of filling in code that end nothing: of each row one is a control token."""

_SHOWN = frozenset({"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
"""Control tokens of gpt-oss that belong to its text."""


def decide(index: Mapping[str, int], named: Mapping[str, int | None]) -> tuple[tuple[int, ...], dict[int, int]]:
    """The ids that end a generation, in order, and the types of those that have others with that."""
    changes: dict[int, int] = {}
    found = {i for i in named.values() if i is not None}
    for key, texts in _FILL.items():
        if named[key] is None:
            found.update(_first(texts, index, changes))
    for marks in _MARKS:
        _first(marks.split(), index, changes)
    for text in ENDS & index.keys():
        found.add(index[text])
        changes[index[text]] = CONTROL
    for text in _SHOWN & index.keys():
        changes[index[text]] = USER_DEFINED
    there = {text for text in ENDS & index.keys() if index[text] in found}
    calls = "<|call|>" in there or "<|calls|>" in there
    if calls and "<|end|>" in there and ("<|return|>" in there or "<|flush|>" in there):
        # There it ends a message, and others follow in the same turn.
        found.discard(index["<|end|>"])
        changes[index["<|end|>"]] = USER_DEFINED
    if "<|tool_response>" in there and "</s>" in there:
        # Gemma 4's is a tag of HTML.
        found.discard(index["</s>"])
        changes[index["</s>"]] = NORMAL
    return tuple(sorted(found)), changes


def _first(texts: Iterable[str], index: Mapping[str, int], changes: dict[int, int]) -> list[int]:
    """The first of the texts that is a token, which is a control token by that."""
    for text in texts:
        if text in index:
            changes[index[text]] = CONTROL
            return [index[text]]
    return []
