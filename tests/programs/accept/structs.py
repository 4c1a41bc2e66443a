# Compiled by tlc 0.1.0 from structs.tl. What is changed here is lost.
from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear:
    """A dense layer."""

    weight: mx.array | tl.Packed  # float16[O, I]
    bias: mx.array | None = None  # float16[O]?
    I: int = field(init=False, repr=False)
    O: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weight = tl.array(self.weight, "Linear.weight", mx.float16, 2, "float16[O, I]", "structs.tl:3", packed=True)
        bias = None if self.bias is None else tl.array(
            self.bias, "Linear.bias", mx.float16, 1, "float16[O]", "structs.tl:4"
        )
        O = weight.shape[0]
        if O < 1:
            tl.refuse(
                "structs.tl:2", "TL5001", "`O` is {} by dim 0 of `weight`: a dimension variable is at least {}", O, 1
            )
        I = weight.shape[1]
        if I < 1:
            tl.refuse(
                "structs.tl:2", "TL5001", "`I` is {} by dim 1 of `weight`: a dimension variable is at least {}", I, 1
            )
        if bias is not None:
            if bias.shape[0] != O:
                tl.refuse(
                    "structs.tl:4",
                    "TL5001",
                    "dim 0 of `bias` is {}, not `O` = {} (`O` by dim 0 of `weight`)",
                    bias.shape[0],
                    O,
                )
        tl.set_fields(self, weight=weight, bias=bias, I=I, O=O)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Linear`."""
        return (
            tl.Field("weight", ("weight",), dtype=mx.float16, shape=("O", "I")),
            tl.Field("bias", ("bias",), dtype=mx.float16, shape=("O",), optional=True),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Linear:
        """`Linear` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """`Block`: Block[D, F]."""

    up: Linear  # Linear[D, F]
    down: Linear  # Linear[F, D]
    scale: float  # float
    name: str  # string
    D: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        up = tl.instance(self.up, Linear, "Block.up", "structs.tl:7")
        down = tl.instance(self.down, Linear, "Block.down", "structs.tl:8")
        scale = tl.number(self.scale, "Block.scale", "structs.tl:9")
        name = tl.string(self.name, "Block.name", "structs.tl:10")
        D = up.I
        F = up.O
        if down.I != F:
            tl.refuse("structs.tl:8", "TL5001", "`I` of `down` is {}, not `F` = {} (`F` by `O` of `up`)", down.I, F)
        if down.O != D:
            tl.refuse("structs.tl:8", "TL5001", "`O` of `down` is {}, not `D` = {} (`D` by `I` of `up`)", down.O, D)
        tl.set_fields(self, up=up, down=down, scale=scale, name=name, D=D, F=F)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Block`."""
        return (
            tl.Field("up", ("up",), struct=Linear, dims=(("I", "D"), ("O", "F"))),
            tl.Field("down", ("down",), struct=Linear, dims=(("I", "F"), ("O", "D"))),
            tl.Field("scale", ("scale",)),
            tl.Field("name", ("name",)),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Block:
        """`Block` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Net:
    """`Net`: Net[D, F]."""

    blocks: tuple[Block, ...]  # [Block[D, F]]
    norm: mx.array | None = None  # float16[D]?
    head: Linear  # Linear[D, ?]
    depth: int  # int
    flags: tuple[bool, ...]  # [bool]
    D: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        blocks = tuple(
            tl.instance(item, Block, "Net.blocks[i]", "structs.tl:13")
            for item in tl.items(self.blocks, "Net.blocks", "structs.tl:13")
        )
        norm = None if self.norm is None else tl.array(
            self.norm, "Net.norm", mx.float16, 1, "float16[D]", "structs.tl:14"
        )
        head = tl.instance(self.head, Linear, "Net.head", "structs.tl:15")
        depth = tl.integer(self.depth, "Net.depth", "structs.tl:16")
        flags = tuple(
            tl.boolean(item, "Net.flags[i]", "structs.tl:17")
            for item in tl.items(self.flags, "Net.flags", "structs.tl:17")
        )
        D = head.I
        F = tl.item(blocks, 0, "blocks[0]", "structs.tl:12").F
        for item in blocks:
            if item.D != D:
                tl.refuse(
                    "structs.tl:13",
                    "TL5001",
                    "`D` of `blocks[i]` is {}, not `D` = {} (`D` by `I` of `head`)",
                    item.D,
                    D,
                )
            if item.F != F:
                tl.refuse(
                    "structs.tl:13",
                    "TL5001",
                    "`F` of `blocks[i]` is {}, not `F` = {} (`F` by `F` of `blocks[0]`)",
                    item.F,
                    F,
                )
        if norm is not None:
            if norm.shape[0] != D:
                tl.refuse(
                    "structs.tl:14",
                    "TL5001",
                    "dim 0 of `norm` is {}, not `D` = {} (`D` by `I` of `head`)",
                    norm.shape[0],
                    D,
                )
        tl.set_fields(self, blocks=blocks, norm=norm, head=head, depth=depth, flags=flags, D=D, F=F)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Net`."""
        return (
            tl.Field("blocks", ("blk.{i}",), struct=Block, dims=(("D", "D"), ("F", "F")), listed=True),
            tl.Field("norm", ("norm",), dtype=mx.float16, shape=("D",), optional=True),
            tl.Field("head", ("head",), struct=Linear, dims=(("I", "D"), ("O", None))),
            tl.Field("depth", ("depth",)),
            tl.Field("flags", ("flags.{i}",), listed=True),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Net:
        """`Net` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


def _apply(l: Linear, x: mx.array) -> mx.array:  # structs.tl:19
    y = tl.matmul(x, l.weight, transpose=True)
    if l.bias is not None:
        return y + l.bias
    return y


def _block(b: Block, x: mx.array) -> mx.array:  # structs.tl:24
    result = x + _apply(b.down, mx.maximum(_apply(b.up, x), 0)) * tl.fits(
        b.scale, mx.float16, "b.scale", "structs.tl:25"
    )
    return result


def _run(net: Net, x: mx.array) -> mx.array:  # structs.tl:27
    y = x
    for b in net.blocks:
        y = _block(b, y)  # structs.tl:29
    norm = net.norm
    if norm is not None:
        y = y * norm
    return _apply(net.head, y)


@tl.entry
def apply(l: Linear, x: mx.array) -> mx.array:
    """`apply` of structs.tl:19.

    Args:
        l: Linear[I, O]
        x: float16[...B, I]

    Returns: float16[...B, O]
    """
    l = tl.instance(l, Linear, "l", "structs.tl:19")
    x = tl.array(x, "x", mx.float16, -2, "float16[...B, I]", "structs.tl:19")
    I = l.I
    if x.shape[-1] != I:
        tl.refuse("structs.tl:19", "TL5001", "dim -1 of `x` is {}, not `I` = {} (`I` by `I` of `l`)", x.shape[-1], I)
    result = _apply(l, x)  # structs.tl:19
    return tl.cast(result, mx.float16)


@tl.entry
def block(b: Block, x: mx.array) -> mx.array:
    """`block` of structs.tl:24.

    Args:
        b: Block[D, F]
        x: float16[N, D]

    Returns: float16[N, D]
    """
    b = tl.instance(b, Block, "b", "structs.tl:24")
    x = tl.array(x, "x", mx.float16, 2, "float16[N, D]", "structs.tl:24")
    D = b.D
    N = x.shape[0]
    if N < 1:
        tl.refuse("structs.tl:24", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if x.shape[1] != D:
        tl.refuse("structs.tl:24", "TL5001", "dim 1 of `x` is {}, not `D` = {} (`D` by `D` of `b`)", x.shape[1], D)
    result = _block(b, x)  # structs.tl:24
    return tl.cast(result, mx.float16)


@tl.entry
def run(net: Net, x: mx.array) -> mx.array:
    """`run` of structs.tl:27.

    Args:
        net: Net[D, F]
        x: float16[N, D]

    Returns: float16[N, ?O]
    """
    net = tl.instance(net, Net, "net", "structs.tl:27")
    x = tl.array(x, "x", mx.float16, 2, "float16[N, D]", "structs.tl:27")
    D = net.D
    N = x.shape[0]
    if N < 1:
        tl.refuse("structs.tl:27", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if x.shape[1] != D:
        tl.refuse("structs.tl:27", "TL5001", "dim 1 of `x` is {}, not `D` = {} (`D` by `D` of `net`)", x.shape[1], D)
    result = _run(net, x)  # structs.tl:27
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    up = tl.made(Linear, weight=mx.ones((3, 2), F16), bias=mx.array([0.0, 1.0, -5.0], dtype=F16), I=2, O=3)
    down = tl.made(Linear, weight=mx.ones((2, 3), F16) * 0.5, bias=None, I=3, O=2)
    b = tl.made(Block, up=up, down=down, scale=2.0, name="first", D=2, F=3)
    head = tl.made(Linear, weight=mx.array([[1.0, -1.0]], dtype=F16), bias=None, I=2, O=1)
    net = tl.made(Net, blocks=(b, b), norm=mx.array([1.0, 2.0], dtype=F16), head=head, depth=2, flags=(True,), D=2, F=3)
    tl.print_values(tl.shown(_run(net, mx.array([[1.0, 2.0]], dtype=F16)), "float16"))  # structs.tl:39
    tl.print_values(  # structs.tl:40
        tl.shown(tl.item(net.blocks, 1, "net.blocks[1]", "structs.tl:40").up.bias, "float16"),
        2,
        3,
        2,
        3,
        net.head.O,
        net.depth,
        tl.shown(net.flags, [None]),
    )
    tl.print_values(tl.shown(down, {"weight": "float16", "bias": "float16"}))  # structs.tl:41
    tl.print_values(b.name, len(net.blocks), tl.shown(net.norm, "float16"))  # structs.tl:42
    plain = tl.made(Net, blocks=(b,), norm=None, head=head, depth=1, flags=(), D=2, F=3)
    tl.print_values(  # structs.tl:44
        tl.shown(plain.norm, "float16"), plain.norm is None, tl.shown(_run(plain, mx.ones((2, 2), F16)), "float16")
    )


if __name__ == "__main__":
    tl.run_main(main)
