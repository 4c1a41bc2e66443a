"""The weights of a Core ML program (`mlProgram`): its constants, by the name of the value that each gives.

Takes the program's message and the weight files beside it, gives a table of tensors. Of each function and of the blocks
nested in it, `const` operations give tensors as they are stored, and `constexpr_` operations give tensors to compute
(`recipes.py`). Parts that serve only those are no tensors of their own; texts, lists and the numbers and truth values
that set an operation up (`axis`, `keep_dims`) are none at all. An operation that this version does not know, or whose
parts do not fit, gives a tensor that can be seen and not read. The messages:
https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tensorlogic.runtime.formats.coreml.blobs import Blobs
from tensorlogic.runtime.formats.coreml.constants import Value, dtype_of, tensor_type, value_of
from tensorlogic.runtime.formats.coreml.constexpr import CAST, computed
from tensorlogic.runtime.formats.coreml.protobuf import Message
from tensorlogic.runtime.formats.coreml.recipes import BITS, Misfit, Source, computed_info
from tensorlogic.runtime.formats.header import MAX_TENSORS, TensorInfo, damaged, shown, unsupported

_NEVER = ("F8_E4M3", "F8_E5M2")


@dataclass(slots=True)
class _Function:
    """The constants of one function so far: `values` by name, and the names of those that only others use."""

    prefix: str
    values: dict[str, Value] = field(default_factory=dict)
    unreadable: dict[str, TensorInfo] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)


def read_program(program: Message, blobs: Blobs, main: str, prefix: str = "") -> dict[str, TensorInfo]:
    """The tensors of all functions; those of functions other than `main` are called `function/name`."""
    tensors: dict[str, TensorInfo] = {}
    entries = [(entry.text(1), entry.message(2)) for entry in program.messages(2)]
    for name, function in entries:
        if function is None:
            continue
        alone = name == main or len(entries) == 1
        found = _Function(prefix if alone else f"{prefix}{name}/")
        for block in _blocks(function):
            _read_block(block, blobs, found)
            if found.parts:
                found.used.update(_uses(block))
        for info in _tensors(found):
            if info.name in tensors:
                damaged(program.buffer.path, f"two constants are called `{shown(info.name)}`")
            tensors[info.name] = info
        if len(tensors) > MAX_TENSORS:
            unsupported(program.buffer.path, f"it has more than {MAX_TENSORS} tensors")
    return tensors


def _blocks(function: Message) -> Iterator[Message]:
    """The block of a function: the specialization for its own operation set."""
    opset = function.text(2)
    for entry in function.messages(3):
        block = entry.message(2)
        if block is not None and entry.text(1) == opset:
            yield block


def _read_block(block: Message, blobs: Blobs, found: _Function) -> None:
    for operation in block.messages(3):
        type = operation.text(1)
        if type == "const" or type.startswith("constexpr_"):
            _read_constant(operation, type, blobs, found)
        else:
            for nested in operation.messages(4):
                _read_block(nested, blobs, found)


def _uses(block: Message) -> Iterator[str]:
    """The values that the operations of a block take by name, other than those that compute constants."""
    for operation in block.messages(3):
        if operation.text(1).startswith("constexpr_"):
            continue
        for nested in operation.messages(4):
            yield from _uses(nested)
        for entry in operation.messages(2):
            argument = entry.message(2)
            if argument is not None:
                yield from (name for binding in argument.messages(1) for name in binding.texts(1))


def _read_constant(operation: Message, type: str, blobs: Blobs, found: _Function) -> None:
    path = operation.buffer.path
    outputs = [(output.text(1), tensor_type(output.message(2), output.text(1))) for output in operation.messages(3)]
    if not outputs or outputs[0][1] is None:
        # Texts, lists and dictionaries.
        return
    for name, _ in outputs:
        if name in found.values or name in found.unreadable:
            damaged(path, f"two constants are called `{shown(name)}`")
    name, (kind, shape) = outputs[0][0], outputs[0][1]
    try:
        if type == "const":
            made = [_constant(operation, name, blobs)]
        else:
            made, names = computed(operation, type, name, blobs, found.values)
            found.parts.update(names)
            if len(made) > 1:
                # A mask is no weight.
                found.parts.add(name)
    except Misfit as misfit:
        if type == "const":
            damaged(path, f"tensor `{shown(name)}`: {misfit}")
        storage = shown(type.removeprefix("constexpr_").upper())
        found.unreadable[name] = TensorInfo(name, storage, shape, dtype_of(kind), operation.start, 0, path, None, False)
        return
    for (output, declared), value in zip(outputs, made, strict=False):
        node = value.node
        if declared is None or declared[1] != node.shape or (type != CAST and declared[0] != node.kind):
            damaged(path, f"tensor `{shown(output)}` is not declared as the {node.kind}{list(node.shape)} that it is")
        found.values[output] = value


def _tensors(found: _Function) -> Iterator[TensorInfo]:
    for name, info in found.unreadable.items():
        yield replace(info, name=found.prefix + name)
    for name, value in found.values.items():
        is_setting = isinstance(value.node, Source) and not value.node.shape and dtype_of(value.node.kind) != "float16"
        if not is_setting and (name not in found.parts or name in found.used):
            yield _info(found.prefix + name, value)


def _info(name: str, value: Value) -> TensorInfo:
    node = value.node
    dtype = dtype_of(node.kind)
    if isinstance(node, Source) and not node.varint and BITS[node.kind] >= 8 and node.literal is None:
        readable = node.kind not in _NEVER
        return TensorInfo(name, node.kind, node.shape, dtype, node.offset, node.nbytes, value.file, readable=readable)
    return computed_info(name, node, dtype, value.file)


def _constant(operation: Message, name: str, blobs: Blobs) -> Value:
    for entry in operation.messages(5):
        if entry.text(1) == "val":
            value = entry.message(2)
            if value is not None:
                return value_of(value, name, blobs)
    damaged(operation.buffer.path, f"the constant `{shown(name)}` has no value")
