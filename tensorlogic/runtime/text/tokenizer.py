"""Tokenizers in the Hugging Face format: text to token ids and back, through the `tokenizers` library.

Takes: the path of a `tokenizer.json`, or of a folder that holds one.

Promises: `encode` gives the ids that the model was trained with, special tokens included, of one text alone: a file's
own padding and truncation are for batches, and some files disagree with their model about the length, so neither is
applied; `max_length` cuts instead, and keeps the special tokens. Encoding changes no state: threads may share one.

Refuses, with a `TensorLogicError` that names the file: a missing library (TL4401), a file that is missing or is no
tokenizer (TL4402), a text that its vocabulary cannot write (TL4403), ids and lengths out of bounds (TL5401), a text
that is not Unicode (TL5402).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tensorlogic.runtime.errors import BoundaryError, ModelFileError, TensorLogicError

if TYPE_CHECKING:
    import tokenizers

FILE_NAME = "tokenizer.json"
_LARGEST_ID = 2**32 - 1


class Tokenizer:
    """A loaded tokenizer. Made by `load_tokenizer`."""

    def __init__(self, library: tokenizers.Tokenizer, path: Path) -> None:
        library.no_padding()
        library.no_truncation()
        self._library = library
        self._path = path

    def __str__(self) -> str:
        return f"<Tokenizer {self._path}>"

    @property
    def vocab_size(self) -> int:
        """How many ids there are, added tokens included."""
        return self._library.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, max_length: int | None = None) -> list[int]:
        """The ids of `text`, at most `max_length` of them, special tokens counted."""
        special = self._library.num_special_tokens_to_add(is_pair=False)
        if max_length is not None and max_length < special:
            message = f"max_length is {max_length}, but this tokenizer adds {special} special tokens to every text"
            raise BoundaryError("TL5401", message)
        try:
            text.encode()
        except UnicodeEncodeError as fault:
            raise BoundaryError("TL5402", f"the text {_excerpt(text)} is not Unicode: {fault.reason}") from fault
        with _faults("TL4403", f"{self._path} cannot encode {_excerpt(text)}"):
            encoding = self._library.encode(text, add_special_tokens=False)
            if max_length is not None:
                # Before the special tokens are added, so that cutting cannot remove them.
                encoding.truncate(max_length - special)
            return self._library.post_process(encoding).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, without special tokens."""
        found = list(ids)
        for position, number in enumerate(found):
            if not 0 <= number <= _LARGEST_ID or self._library.id_to_token(number) is None:
                raise BoundaryError("TL5401", f"ids[{position}] is {number}, which is no id of {self._path}")
        return self._library.decode(found)


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Reads a `tokenizer.json`. Raises `TensorLogicError` as the module says."""
    try:
        import tokenizers
    except ImportError as fault:
        raise TensorLogicError(
            "TL4401",
            "reading a tokenizer needs the library `tokenizers`, which is not installed",
            helps=["pip install 'tensorlogic-mlx[text]'"],
        ) from fault
    place = Path(path)
    if place.is_dir():
        place /= FILE_NAME
    if not place.is_file():
        raise ModelFileError("TL4402", f"there is no tokenizer at {place}")
    with _faults("TL4402", f"{place} is not a tokenizer in the Hugging Face format"):
        library = tokenizers.Tokenizer.from_file(str(place))
        # A file may name special tokens that it does not define; the library notices when it adds them.
        library.post_process(library.encode("", add_special_tokens=False))
    return Tokenizer(library, place)


@contextmanager
def _faults(code: str, message: str) -> Iterator[None]:
    """Turns what the library raises into an error that names the file. It raises bare exceptions, and Rust panics."""
    try:
        yield
    except BaseException as fault:
        if isinstance(fault, Exception) or type(fault).__name__ == "PanicException":
            raise ModelFileError(code, f"{message}: {fault}") from fault
        raise


def _excerpt(text: str) -> str:
    """Enough of a text to recognise it by, in characters that every output can write."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")
