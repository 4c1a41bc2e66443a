# Compiled by tlc 0.1.0 from linear.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _forward(input: mx.array, weights: mx.array | tl.Packed, bias: mx.array) -> mx.array:  # linear.tl:2
    output = tl.matmul(input, weights)
    return output + bias


@tl.entry
def forward(input: mx.array, weights: mx.array | tl.Packed, bias: mx.array) -> mx.array:
    """`forward` of linear.tl:2.

    Args:
        input: float16[N, D_in]
        weights: float16[D_in, D_out]
        bias: float16[D_out]

    Returns: float16[N, D_out]
    """
    input = tl.array(input, "input", mx.float16, 2, "float16[N, D_in]", "linear.tl:2")
    weights = tl.array(weights, "weights", mx.float16, 2, "float16[D_in, D_out]", "linear.tl:3", packed=True)
    bias = tl.array(bias, "bias", mx.float16, 1, "float16[D_out]", "linear.tl:4")
    N = input.shape[0]
    if N < 1:
        tl.refuse("linear.tl:2", "TL5001", "`N` is {} by dim 0 of `input`: a dimension variable is at least {}", N, 1)
    D_in = input.shape[1]
    if D_in < 1:
        tl.refuse(
            "linear.tl:2", "TL5001", "`D_in` is {} by dim 1 of `input`: a dimension variable is at least {}", D_in, 1
        )
    D_out = weights.shape[1]
    if D_out < 1:
        tl.refuse(
            "linear.tl:2",
            "TL5001",
            "`D_out` is {} by dim 1 of `weights`: a dimension variable is at least {}",
            D_out,
            1,
        )
    if weights.shape[0] != D_in:
        tl.refuse(
            "linear.tl:3",
            "TL5001",
            "dim 0 of `weights` is {}, not `D_in` = {} (`D_in` by dim 1 of `input`)",
            weights.shape[0],
            D_in,
        )
    if bias.shape[0] != D_out:
        tl.refuse(
            "linear.tl:4",
            "TL5001",
            "dim 0 of `bias` is {}, not `D_out` = {} (`D_out` by dim 1 of `weights`)",
            bias.shape[0],
            D_out,
        )
    result = _forward(input, weights, bias)  # linear.tl:2
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    X = tl.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [10.0, 11.0, 12.0]], F16, device="gpu")
    W = tl.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], F16, device="gpu")
    b = tl.tensor([0.01, 0.02], F16, device="gpu")
    output = _forward(X, W, b)  # linear.tl:25
    tl.print_values("Output shape:", tl.shown(output.shape, [None]))  # linear.tl:27
    tl.print_values("Output:", tl.shown(output, "float16"))  # linear.tl:28


if __name__ == "__main__":
    tl.run_main(main)
