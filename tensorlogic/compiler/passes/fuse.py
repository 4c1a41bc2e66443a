"""Products with what stands around them, fused into chains: one operation that can run as one kernel.

Looks for products `h @ w.T` (and `linear` without a bias) with matrices that may be packed weights, and around them

- `h = rms_norm(x, g)` all of whose uses are such products: the norm becomes part of them;
- several products of one `h`, such as queries, keys and values: they become one;
- `silu(h @ gate.T) * (h @ up.T)`, or `gelu` approximated by `tanh`: a gate;
- `rms_norm` of a product, where nothing else uses it;
- a tensor of the product's own shape that is added, such as a residual stream;
- a product whose left side is the value of another, all uses of which lie inside: the chain goes on.

Makes `chain` operations (`ir/chain.py`) where at least one of these was found; a lone product stays. So a feed-forward
block, with its norm and its residual sum, becomes one operation of two stages, and an attention block's last product
goes on into the block that follows it. On a CPU a chain of packed weights runs as one node (`runtime/chains.py`):
decoding one token multiplies one row hundreds of times, where every node costs more than it computes.

Right because a chain means the operations that it replaces: elsewhere it runs as they do, and as one node it computes
all of them in float32 and rounds once, at the end, to the type of what went in. Values on the way are carried more
precisely than their element type says, which language.md allows (4.4) and `--strict` does not, so that this pass is
left out there. Only operations without effect move: a chain stands where its last operation stood; one whose products
stay apart stands where the first of them stood, and nothing is then checked between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from tensorlogic.compiler.ir.chain import Stage
from tensorlogic.compiler.ir.core import Function, Operation, Value
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.passes.neighbours import Neighbours, each_region
from tensorlogic.compiler.passes.packing import may_be_packed
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import BoolType, NoneType, TensorType, TupleType

_HANDED_ON = frozenset({"retype", "ranked"})
_MOVABLE = frozenset({"field", "retype", "constant"})
"""Operations that may stand earlier than they do: they neither cost nor refuse anything."""


@dataclass(frozen=True)
class _Norm:
    weight: Value
    eps: Value


@dataclass
class _Link:
    """A stage to be: what goes in, the operations that it replaces, and its value, or values where they stay apart."""

    left: Value
    products: list[Operation]
    replaced: list[Operation]
    values: tuple[Value, ...]
    norm: _Norm | None = None
    gate: str | None = None
    norm_after: _Norm | None = None
    add: Value | None = None

    @property
    def is_plain(self) -> bool:
        """Whether this is a product and nothing else."""
        return len(self.replaced) == 1


def run(function: Function) -> Function:
    """The function with its chains."""
    return each_region(function, lambda near: _Fuser(near).fused())


@dataclass
class _Fuser:
    """Fuses one region."""

    near: Neighbours
    groups: dict[Value, list[Operation]] = field(default_factory=dict)
    """The products by their left side."""
    taken: set[Operation] = field(default_factory=set)
    """What some link replaces."""

    def __post_init__(self) -> None:
        for operation in self.near.operations:
            if self._is_product(operation):
                self.groups.setdefault(operation.operands[0], []).append(operation)

    def fused(self) -> Iterator[Operation]:
        """The region's operations, chains among them."""
        links = [link for left, products in self.groups.items() for link in self._links(left, products)]
        chains = [chain for chain in self._chains(links) if len(chain) > 1 or not chain[0].is_plain]
        gone = {operation for chain in chains for link in chain for operation in link.replaced}
        standing = {self._place(chain): chain for chain in chains}
        for position, operation in enumerate(self.near.operations):
            if position in standing:
                chain = standing[position]
                moved = [o for o in self._moved(chain, position) if o not in gone]
                yield from moved
                yield from _operations(chain)
                gone.update(moved)
            if operation not in gone:
                yield operation

    # --- finding stages

    def _is_product(self, operation: Operation) -> bool:
        match operation.name:
            case "matmul_transposed":
                left, weight = operation.operands
            case "linear" if isinstance(operation.operands[2].type, NoneType):
                left, weight, _ = operation.operands
            case _:
                return False
        if not isinstance(weight.type, TensorType) or not isinstance(left.type, TensorType):
            return False
        shape = weight.type.shape
        return shape.pack is None and len(shape.dims) == 2 and self._may_arrive_packed(weight)

    def _may_arrive_packed(self, value: Value) -> bool:
        """Whether a matrix comes from where packed weights come from."""
        operation = self.near.made.get(value)
        if operation is not None and operation.name in _HANDED_ON and operation.operands:
            return self._may_arrive_packed(operation.operands[0])
        if operation is not None and operation.name not in _SOURCES:
            op = OPS.get(operation.name)
            return op is not None and op.gives_packed
        return may_be_packed(value.type)

    def _only_user(self, value: Value) -> Operation | None:
        """The one operation of this region that uses a value, where nothing else does; not one that is replaced."""
        user = self.near.only_user(value)
        return None if user in self.taken else user

    def _links(self, left: Value, products: list[Operation]) -> list[_Link]:
        """The stages that the products with one left side make."""
        links = list(self._gates(left, products))
        alone = [p for p in products if p not in self.taken]
        if len(alone) > 1 and self._can_stand_together(alone):
            links.append(_Link(left, alone, [*alone], tuple(p.result for p in alone)))
        else:
            links += [_Link(left, [p], [p], (p.result,)) for p in alone]
        norm = self.near.made.get(left)
        if len(links) == 1 and norm is not None and norm.name == "rms_norm" and norm in self.near.positions:
            (link,) = links
            if self.near.counts[left] == len(link.products):
                link.left, link.norm = norm.operands[0], _Norm(*norm.operands[1:])
                link.replaced.insert(0, norm)
        for link in links:
            self.taken.update(link.replaced)
            if len(link.values) == 1:
                self._extend(link)
        return links

    def _gates(self, left: Value, products: Sequence[Operation]) -> Iterator[_Link]:
        """The pairs of products of which one, activated, is multiplied with the other."""
        by_result = {p.result: p for p in products}
        for gate in products:
            activation = self._only_user(gate.result)
            kind = None if activation is None else _activation(activation)
            if activation is None or kind is None:
                continue
            product = self._only_user(activation.result)
            if product is None or product.name != "multiply":
                continue
            up = by_result.get(_other(product, activation.result))
            if up is None or self._only_user(up.result) is not product or not _of_one_shape(gate.result, up.result):
                continue
            replaced = [gate, up, activation, product]
            self.taken.update(replaced)
            yield _Link(left, [gate, up], replaced, (product.result,), gate=kind)

    def _extend(self, link: _Link) -> None:
        """Take a norm and a sum that follow into the stage."""
        (value,) = link.values
        norm = self._only_user(value)
        if norm is not None and norm.name == "rms_norm" and norm.result not in self.groups:
            link.norm_after = _Norm(*norm.operands[1:])
            value = self._take(link, norm)
        total = self._only_user(value)
        if total is not None and total.name == "add":
            added = _other(total, value)
            if _of_one_shape(added, value):
                link.add = added
                self._take(link, total)

    def _take(self, link: _Link, operation: Operation) -> Value:
        self.taken.add(operation)
        link.replaced.append(operation)
        link.values = (operation.result,)
        return operation.result

    # --- stages that follow each other

    def _chains(self, links: Sequence[_Link]) -> Iterator[list[_Link]]:
        by_value = {link.values[0]: link for link in links if len(link.values) == 1}
        followers: dict[Value, list[_Link]] = {}
        for link in links:
            followers.setdefault(link.left, []).append(link)
        for link in links:
            if link.left in by_value and len(followers[link.left]) == 1:
                continue
            chain = [link]
            while len(chain[-1].values) == 1 and len(following := followers.get(chain[-1].values[0], [])) == 1:
                chain += following
            yield from self._parted(chain)

    def _parted(self, chain: list[_Link]) -> list[list[_Link]]:
        """A chain, parted behind each value that something outside needs."""
        inside = [operand for link in chain for operation in link.replaced for operand in operation.operands]
        for i, link in enumerate(chain[:-1], 1):
            if inside.count(link.values[0]) != self.near.counts[link.values[0]]:
                return [*self._parted(chain[:i]), *self._parted(chain[i:])]
        return [chain]

    # --- where a chain stands

    def _place(self, chain: Sequence[_Link]) -> int:
        """The position of the operation in whose place the chain stands."""
        last = chain[-1]
        return self.near.positions[last.products[0] if len(last.values) > 1 else last.replaced[-1]]

    def _can_stand_together(self, products: Sequence[Operation]) -> bool:
        """Whether all of them may stand where the first does: their weights may, and no check lies between."""
        first, last = (self.near.positions[products[i]] for i in (0, -1))
        if any(operation.name == "demand" for operation in self.near.operations[first:last]):
            return False
        return all(self._movable(p.operands[1], first) is not None for p in products)

    def _movable(self, value: Value, position: int) -> list[Operation] | None:
        """What must be moved for a value to be there at a position, in order; None where something cannot be."""
        operation = self.near.made.get(value)
        place = -1 if operation is None else self.near.positions.get(operation, -1)
        if operation is None or place < position:
            return []
        if operation.name not in _MOVABLE:
            return None
        found: list[Operation] = []
        for operand in operation.operands:
            needed = self._movable(operand, position)
            if needed is None:
                return None
            found += needed
        return [*found, operation]

    def _moved(self, chain: Sequence[_Link], position: int) -> list[Operation]:
        """The operations that stand after a chain's place, and are needed there."""
        needed = [o for p in chain[-1].products for o in self._movable(p.operands[1], position) or []]
        return list(dict.fromkeys(needed)) if len(chain[-1].values) > 1 else []


_SOURCES = frozenset({"field", "item", "host.item", "method", "if"})
"""Operations whose results may be packed."""


def _activation(operation: Operation) -> str | None:
    """Which gate an operation makes."""
    if operation.name == "silu":
        return "silu"
    if operation.name == "gelu" and operation.operands[1].type == BoolType(True):
        return "gelu_tanh"
    return None


def _of_one_shape(a: Value, b: Value) -> bool:
    """Whether two tensors are surely of the same shape. Sizes that only run time knows may differ under one sign."""
    if not isinstance(a.type, TensorType) or a.type != b.type:
        return False
    return not any(variable.name == "?" for size in a.type.shape.dims for variable in size.variables())


def _other(operation: Operation, value: Value) -> Value:
    """The other operand of a binary operator."""
    left, right = operation.operands
    return right if left is value else left


def _operations(chain: Sequence[_Link]) -> list[Operation]:
    """The chain, and what takes its products apart."""
    last = chain[-1]
    operands: dict[Value, int] = {chain[0].left: 0}

    def place(value: Value) -> int:
        return operands.setdefault(value, len(operands))

    def norm(found: _Norm | None) -> tuple[int, int] | None:
        return None if found is None else (place(found.weight), place(found.eps))

    values = {link.values[0]: number for number, link in enumerate(chain, 1)}
    stages = tuple(
        Stage(
            tuple(place(p.operands[1]) for p in link.products),
            norm(link.norm),
            link.gate,
            norm(link.norm_after),
            None if link.add is None or link.add in values else place(link.add),
            None if link.add is None else values.get(link.add),
        )
        for link in chain
    )
    apart = len(last.values) > 1
    span = last.products[0].span if apart else last.replaced[-1].span
    result = Value(TupleType(tuple(v.type for v in last.values))) if apart else last.values[0]
    attributes = {"stages": stages, "apart": apart}
    made = [Operation("chain", tuple(operands), (result,), attributes, (), span)]
    if apart:
        items = enumerate(zip(last.values, last.products, strict=True))
        made += [Operation("item", (result,), (v,), {"index": i}, (), p.span) for i, (v, p) in items]
    return made
