"""`load_model`: a model file as a program sees it. (`save_model`, offered here too, is in `saving`.)

Opening reads the header alone. A tensor's bytes are read, checked and converted when it is asked for; as long as the
program holds the result, asking again gives the same object, and the model itself holds none, so that memory is the
program's to release. Floats become the type that `load_model` was given, integers `int32`, and quantized weights stay
packed. The file is held open: a model goes on reading the file it opened when another is put in its place.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import mlx.core as mx

from tensorlogic.runtime import buffers, progress, reading, workers
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats import FileHeader, MetadataValue, OpenFiles, TensorInfo, metadata, open_model
from tensorlogic.runtime.formats.features import Feature
from tensorlogic.runtime.formats.gguf.header import read_raw_metadata
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY, from_text
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.names import Names
from tensorlogic.runtime.formats.nearest import did_you_mean, nearest
from tensorlogic.runtime.formats.summary import architecture, quantization, stored_bytes
from tensorlogic.runtime.formats.values import read_pieces
from tensorlogic.runtime.joining import joined, why_apart
from tensorlogic.runtime.losses import is_heard, tell_unused, tell_zeros
from tensorlogic.runtime.outside import short
from tensorlogic.runtime.packed import Tensor
from tensorlogic.runtime.predicting import Runner, load_runner
from tensorlogic.runtime.reading import FloatType, Job, Wanted
from tensorlogic.runtime.reading_many import read_in_order
from tensorlogic.runtime.saving import save_model
from tensorlogic.runtime.text.tokenizer import Tokenizer, tokenizer_of

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Reader, Room

__all__ = ["FloatType", "Model", "ModelMetadata", "load_model", "save_model"]

Read = TypeVar("Read")
_FLOATS: Mapping[FloatType, mx.Dtype] = {"float16": mx.float16, "bfloat16": mx.bfloat16, "float32": mx.float32}


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What kind of model a file holds. `quantization` is the storage type of most quantized elements."""

    format: str
    quantization: str | None
    architecture: str | None


class Model:
    """An open model file. Made by `load_model`."""

    def __init__(self, header: FileHeader, files: OpenFiles, wanted: Wanted, room: Room | None = None) -> None:
        self.header = header
        self.underflows: Counter[str] = Counter()
        """How many nonzero values became 0, by tensor, of those read so far."""
        self._files = files
        self._wanted = wanted
        self._room = room
        self._meanwhile: Callable[[], object] | None = None
        self._alive: weakref.WeakValueDictionary[str, Tensor] = weakref.WeakValueDictionary()
        self._runner: Runner | None = None
        self._carried: weakref.WeakValueDictionary[tuple[str, mx.Dtype], Tensor] = weakref.WeakValueDictionary()
        self._joined: weakref.WeakValueDictionary[tuple[str, ...], Tensor] = weakref.WeakValueDictionary()
        self._usage = _Usage(header)
        weakref.finalize(self, _close, tuple(files.values()), self._usage)

    def __repr__(self) -> str:
        return f"Model({str(self.header.path)!r}, {len(self.header.tensors)} tensors)"

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors' names, in the order in which the header lists them."""
        return tuple(self.header.tensors)

    @property
    def metadata(self) -> ModelMetadata:
        header = self.header
        return ModelMetadata(header.format, quantization(header.tensors.values()), architecture(header.metadata))

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """What a Core ML model takes, its states last; empty for files that hold weights alone."""
        return self.header.inputs

    @property
    def outputs(self) -> tuple[Feature, ...]:
        """What a Core ML model gives."""
        return self.header.outputs

    def predict(self, inputs: Mapping[str, Any] | None = None, /, **named: Any) -> dict[str, Any]:
        """Run a Core ML model on macOS: values by the names of its inputs, given by name or in a mapping.

        The outputs are `mx.array` by name, in Core ML's own element types. Raises `ModelFileError` elsewhere (TL4050),
        without `coremltools` (TL4051), and for what the model does not take (TL4052).
        """
        if self._runner is None:
            self._runner = load_runner(self.header)
        return self._runner.predict({**(inputs or {}), **named})

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer: from a GGUF file's metadata, else the `tokenizer.json` beside the model's files.

        Read when it is first asked for. Raises `TensorLogicError` as `load_tokenizer` does (TL4401, TL4402, TL4404,
        TL4405, TL4065).
        """
        return tokenizer_of(self.header)

    @functools.cached_property
    def names(self) -> Names:
        """The tensors' names, indexed."""
        return Names(self.header.tensors)

    @property
    def unused(self) -> tuple[str, ...]:
        """The tensors that nobody asked for so far, by `get_tensor` or `bind`.

        Once a struct was filled from the model, they are told to whoever listens (`losses.py`) when it is closed.
        """
        return self._usage.unused()

    def has(self, name: str) -> bool:
        return name in self.header.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, from the header."""
        return self._info(name).shape

    @property
    def float_type(self) -> mx.Dtype:
        """The element type that floats get when they are read.

        Raises BoundaryError TL5002 for a model loaded with `dtype="native"`, whose floats keep the file's types.
        """
        if self._wanted.dtype == "native":
            message = f'`{self.header.path}` was loaded with `dtype="native"`: its floats have no one type'
            raise BoundaryError("TL5002", message)
        return _FLOATS[self._wanted.dtype]

    def dtype(self, name: str) -> mx.Dtype:
        """The element type that a tensor has when it is read, from the header."""
        return reading.element(self._info(name), self._wanted)

    def get_tensor(self, name: str, dtype: mx.Dtype | None = None) -> Tensor:
        """The tensor's elements: packed where the file quantized them, unless the model was loaded to expand them.

        Floats become `dtype`, or the model's own float type without it. Raises `ModelFileError` for a name that is not
        there (TL4005), a storage type that cannot be read (TL4004), values that the element type cannot hold (TL4006,
        TL4007), a file that became shorter (TL4008) and scales that are no numbers (TL4009); TypeError for a name that
        is no string.
        """
        if not isinstance(name, str):
            raise TypeError(f"a tensor's name is a string, not {name!r}")
        if dtype is not None and dtype != _FLOATS.get(self._wanted.dtype):
            return self._as(name, dtype)
        held = self._alive.get(name)
        if held is not None:
            return held
        job = self._begin(name)
        with self._work():
            return self._keep(name, *job.finish(job.fill()))

    def read_all(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """Many tensors in order, as `get_tensor` gives them, several read at once; all of the file's without `names`.

        What the caller does not keep is not held, but for what is under way (`reading_many.py`). Raises
        `ModelFileError` as `get_tensor` does, when it is that tensor's turn.
        """
        chosen = list(self.header.tensors if names is None else names)
        jobs = (self._begin(name) for name in chosen)
        meanwhile, self._meanwhile = self._meanwhile, None
        tensors = read_in_order(jobs, workers.count(), meanwhile)
        with self._work():
            for name, (tensor, underflows) in zip(chosen, tensors, strict=True):
                yield name, self._keep(name, tensor, underflows)

    def while_reading(self, task: Callable[[], object]) -> None:
        """Call `task` while many tensors are read the next time, which other threads do; it may be left undone."""
        self._meanwhile = task

    @property
    def expands(self) -> bool:
        """Whether quantized tensors are expanded when they are read."""
        return self._wanted.dequantize

    def bytes_in_file(self, name: str) -> Iterator[bytes]:
        """The tensor's bytes as the file has them, in pieces. Raises `ModelFileError` as `get_tensor` does."""
        info = self._info(name)
        self._usage.used.add(name)
        return (piece for _, piece in read_pieces(self._files[info.file], info, 1))

    def gguf_metadata(self) -> dict[str, bytes]:
        """The metadata of a GGUF file: each value's type and bytes, as they lie there.

        A safetensors file that was made of one has them, too; for others, this is empty.
        """
        if self.header.format != "gguf":
            text = self.header.metadata.get(GGUF_KEY)
            return {} if text is None else from_text(self.header.path, text)
        path, file = next(iter(self._files.items()))
        return read_raw_metadata(file, path)

    def get_joined(self, names: Sequence[str]) -> Tensor:
        """Several weights as one, their rows below each other: one product in place of several with one left side.

        As long as the program holds it, asking again gives the same object. Raises `ModelFileError` as `get_tensor`
        does, and TL4045 for weights that differ in more than the number of their rows.
        """
        if isinstance(names, str):
            raise TypeError(f"`get_joined` takes a list of names, not {names!r} alone")
        key = tuple(names)
        whole = self._joined.get(key)
        if whole is None:
            parts = [self.get_tensor(name) for name in key]
            reason = why_apart(parts)
            if reason is not None:
                told = re.sub(r"`([0-9]+)`", lambda place: f"`{shown(key[int(place[1])])}`", reason)
                raise ModelFileError("TL4045", f"tensors of `{self.header.path}` cannot be joined: {told}")
            whole = self._joined[key] = joined(parts)
        return whole

    def shared(self, name: str, tensor: Tensor) -> Tensor:
        """`tensor`, which is the one called `name` in some precision, or the equal one that is in use already."""
        return self._carried.setdefault((name, tensor.dtype), tensor)

    def note_bound(self) -> None:
        """Say that a struct was filled, so that what no struct took is worth telling."""
        self._usage.is_bound = True

    # Values of the metadata by their keys: refused where there is none (TL4010), unless a default is given, and where
    # it is another thing (TL4011).

    def int(self, key: str, default: builtins.int | None = None) -> builtins.int:
        """A whole number of the metadata. Text is read as one, since safetensors keeps nothing but text."""
        return self._value(key, default, metadata.as_int, "an int")

    def float(self, key: str, default: builtins.float | None = None) -> builtins.float:
        """A number of the metadata; a whole one, too, since writers of JSON drop the fraction."""
        return self._value(key, default, metadata.as_float, "a float")

    def string(self, key: str, default: str | None = None) -> str:
        """A text of the metadata."""
        return self._value(key, default, metadata.as_string, "a string")

    def bool(self, key: str, default: builtins.bool | None = None) -> builtins.bool:
        """Whether something is so, by the metadata."""
        return self._value(key, default, metadata.as_bool, "a bool")

    def ints(self, key: str, default: Sequence[builtins.int] | None = None) -> tuple[builtins.int, ...]:
        """A list of whole numbers of the metadata."""
        return self._value(key, None if default is None else tuple(default), metadata.as_ints, "a list of ints")

    def floats(self, key: str, default: Sequence[builtins.float] | None = None) -> tuple[builtins.float, ...]:
        """A list of numbers of the metadata."""
        return self._value(key, None if default is None else tuple(default), metadata.as_floats, "a list of floats")

    def strings(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of texts of the metadata."""
        return self._value(key, None if default is None else tuple(default), metadata.as_strings, "a list of strings")

    def _info(self, name: str) -> TensorInfo:
        info = self.header.tensors.get(name)
        if info is None:
            message = f"`{self.header.path}` holds no tensor `{shown(name)}`"
            raise ModelFileError("TL4005", message, helps=_nearest(name, self.header.tensors))
        return info

    def _value(self, key: str, default: Read | None, read: Callable[[MetadataValue], Read | None], wanted: str) -> Read:
        value = self.header.metadata.get(key)
        if value is None:
            if default is not None:
                return default
            message = f"the metadata of `{self.header.path}` has no key `{shown(key)}`"
            raise ModelFileError("TL4010", message, helps=_nearest(key, self.header.metadata))
        found = read(value)
        if found is None:
            told = metadata.told(value)
            message = f"the metadata key `{shown(key)}` of `{self.header.path}` is {told}, and not {wanted}"
            raise ModelFileError("TL4011", message)
        return found

    def _begin(self, name: str) -> Job[Any]:
        """Make room for a tensor. One that the program holds is there already; one that cannot be read raises later."""
        try:
            info = self._info(name)
            self._usage.used.add(name)
            held = self._alive.get(name)
            if held is not None:
                return Job(lambda: 0, lambda underflows: (held, underflows), 0)
            job = reading.begin(self._files, info, self._wanted, self._room)
            nbytes = stored_bytes(info)
            return Job(functools.partial(_told, nbytes, job.fill), job.finish, nbytes, _told_ahead(nbytes, job))
        except ModelFileError as error:
            return reading.failing(error)

    def _as(self, name: str, dtype: mx.Dtype) -> Tensor:
        """A tensor in another float type than the model's, read once more each time."""
        names = {each: name for name, each in _FLOATS.items()}
        if dtype not in names:
            raise TypeError(f"floats are read as float16, bfloat16 or float32, not {dtype}")
        self._usage.used.add(name)
        wanted = Wanted(names[dtype], self._wanted.dequantize)
        job = reading.begin(self._files, self._info(name), wanted, self._room)
        return job.finish(job.fill())[0]

    def _keep(self, name: str, tensor: Tensor, underflows: builtins.int) -> Tensor:
        """What the program gets: the one that it holds, where another reading of the same tensor was quicker."""
        held = self._alive.get(name)
        if held is not None:
            return held
        self._alive[name] = tensor
        info = self._info(name)
        if underflows:
            self.underflows[name] = underflows
            tell_zeros(underflows, f"the tensor `{shown(name)}` of `{info.file}`", short(tensor.dtype))
        return tensor

    def _work(self) -> AbstractContextManager[None]:
        return progress.work(f"Reading {self.header.path.name}", self._nbytes)

    def _nbytes(self) -> builtins.int:
        """The bytes of all tensors: what there is to read in a program that uses the whole model."""
        return sum(map(stored_bytes, self.header.tensors.values()))


def load_model(path: str | os.PathLike[str], *, dtype: FloatType = "float16", dequantize: bool = False) -> Model:
    """Open a model file, or a folder of safetensors files.

    Floats become `dtype`; `native` keeps each tensor's own type. With `dequantize`, quantized tensors are expanded
    when they are used. Raises `ModelFileError` (TL4001 to 4, TL4065) for a file that cannot be read as a model.
    """
    if dtype not in get_args(FloatType):
        choices = ", ".join(get_args(FloatType))
        raise ModelFileError("TL4013", f"`load_model` has no `dtype: {shown(str(dtype))}`", helps=[f"use {choices}"])
    # The kernels, where there are some, read headers quickly.
    room = buffers.room()
    header, files = open_model(path)
    return Model(header, files, Wanted(dtype, dequantize), room)


@dataclass
class _Usage:
    """What a program asked of a model; outlives it, to be told."""

    header: FileHeader
    used: set[str] = field(default_factory=set)
    is_bound: bool = False

    def unused(self) -> tuple[str, ...]:
        return tuple(name for name in self.header.tensors if name not in self.used)


def _close(files: tuple[io.FileIO, ...], usage: _Usage) -> None:
    for file in files:
        file.close()
    if usage.is_bound and is_heard():
        tell_unused(usage.unused(), str(usage.header.path))


def _told(nbytes: int, read: Callable[[], Read]) -> Read:
    with progress.part(nbytes):
        return read()


def _told_ahead(nbytes: int, job: Job[Read]) -> Callable[[Reader], Callable[[], Read | None]] | None:
    ahead = job.ahead
    return None if ahead is None else lambda reader: functools.partial(_told, nbytes, ahead(reader))


def _nearest(name: str, names: Iterable[str]) -> list[str]:
    return did_you_mean(nearest(name, names))
