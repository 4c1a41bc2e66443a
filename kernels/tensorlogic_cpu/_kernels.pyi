"""What the extension module gives. Functions are lazy: they make nodes of a graph on the CPU's stream."""

from collections.abc import Sequence
from typing import Literal, TypedDict

import mlx.core as mx
import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U16 = npt.NDArray[np.uint16]

MLX_VERSION: str
"""Of the MLX whose headers this was built with."""

# --- the machine

def instruction_sets() -> list[str]:
    """Those that this processor runs, best first; `portable` is the last."""

def instruction_set() -> str:
    """The one in use: the best, or what TENSORLOGIC_ISA names."""

def use_instruction_set(name: str) -> None:
    """For tests and measurements. ValueError for one that the processor does not run."""

def threads() -> int:
    """The size of the pool, as `thread_limits` says."""

def set_threads(count: int) -> None:
    """For tests and measurements; waits for what is being computed. ValueError for a count outside of 1 to 1024."""

class ThreadLimits(TypedDict):
    """What the machine and its user allow: `processors` in the process's affinity, the `cores` that they are on, the
    CPU time that cgroups grant, in processors (0 for no limit), the number that TENSORLOGIC_THREADS asks for (0 for
    none), and the `threads` that follow."""

    processors: int
    cores: int
    granted: float
    asked: int
    threads: int

def thread_limits(root: str = "") -> ThreadLimits:
    """Read now; the pool has been made when the module was imported. `root` is put before /proc and /sys, for tests."""

def blas() -> str:
    """What multiplies dense matrices, and for which processor it was made."""

def read_bandwidth(megabytes: int, threads: int = 0) -> float:
    """Measures how fast memory is read, in GB/s (of 10^9 bytes): the median of 3 to 7 times through `megabytes` with
    all threads of the pool, or with `threads` of them. Take several times the size of the last cache. ValueError for
    no megabytes or more than 1,048,576; MemoryError."""

def peak_gflops(threads: int = 0) -> float:
    """Measures how fast float32 matrices are multiplied, in GFLOP/s: the median of 3 to 7 products of 768 x 768 x 768
    in each of the pool's threads, or of `threads` of them."""

# --- packed weights

class Matrix:
    """Packed weights [O, I] as `mlx.core.quantize` gives their parts: `weight` uint32 [O, I * bits / 32], `scales` and
    `biases` [O, I / group_size], float32, float16 or bfloat16.

    Modes: `affine` with 2, 3, 4, 5, 6 or 8 bits and groups of 32, 64 or 128, and of 16 but for 4 bits; `mxfp4` (scales
    uint8, no biases, groups of 32). Rows are whole blocks of 32. ValueError for other layouts, for parts whose sizes do
    not fit each other, and without rows or columns.
    """

    def __init__(
        self,
        weight: mx.array,
        scales: mx.array,
        biases: mx.array | None,
        bits: int,
        group_size: int,
        mode: str,
    ) -> None: ...
    @staticmethod
    def dense(weight: mx.array) -> Matrix:
        """Floats [O, I] as they are, to stand in stages beside packed weights. ValueError for anything else.

        What does not lie by rows without gaps is copied."""
    @staticmethod
    def lies(weight: mx.array) -> bool:
        """Whether an array is evaluated, and lies by rows without gaps: `dense` takes it as it is."""

class Stage:
    """`added + rms_norm(gate(rms_norm(value) @ [m1; m2; ...].T))`, where everything but the product may be absent.

    `matrices` have one width; their products stand side by side. A norm is there where its `eps` is, its weight may be
    None. A gate is the first half of the product, activated, times the second half. What is added: the value of an
    earlier stage (`add_value`; 0 is the chain's input, n what stage n gave), or an array of each call (`addend`, its
    place among them).

    `activations` says how exactly the rows that meet packed weights are kept, in blocks of 32 items: `float32` in 24
    bits; `float16` at least as exactly as float16 would on a block's average, so that 16 bits do where the items' mean
    size is at least 1/15 of the largest (with VNNI; else as float32); `int8` in one byte (up to 8 rows, any number with
    VNNI; else as float32).
    """

    def __init__(
        self,
        matrices: list[Matrix],
        *,
        norm: mx.array | None = None,
        eps: float | None = None,
        gate: Literal["silu", "gelu_tanh"] | None = None,
        norm_after: mx.array | None = None,
        eps_after: float | None = None,
        add_value: int | None = None,
        addend: int | None = None,
        activations: Literal["float32", "float16", "int8"] = "float32",
    ) -> None: ...

class Chain:
    """Stages made once; a call takes `x` [..., I] through them as one node, computed in float32.

    It gives the values of the stages that `results` names (counted from 1), of x's leading dims and float type.
    ValueError where shapes do not fit.
    """

    def __init__(self, stages: list[Stage], results: list[int]) -> None: ...
    def watch(self, objects: list[mx.array]) -> None:
        """Remember which arrays these objects are. They must live as long as `unchanged` is asked."""

    def unchanged(self) -> bool:
        """Whether they still are: `w -= x` and `w[:] = x` make another array of the same object."""

    def __call__(self, x: mx.array, addends: list[mx.array] = []) -> list[mx.array]: ...

# --- rows

# Each takes float32, float16 or bfloat16 of any strides, is computed in float32 and rounded once, to the type of its
# first array. The error bounds hold beside exact arithmetic, before that rounding. ValueError where types or shapes do
# not fit.

def rms_norm(x: mx.array, weight: mx.array | None, eps: float) -> mx.array:
    """`x / sqrt(mean(x^2) + eps) * weight` over the last dim of `x` [..., D], `weight` [D] of any float type (Zhang and
    Sennrich 2019). Within a relative 1e-6 for random rows of up to 10,000 items."""

def layer_norm(x: mx.array, weight: mx.array | None, bias: mx.array | None, eps: float) -> mx.array:
    """`(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` over the last dim of `x` [..., D], `weight` and `bias` [D]
    of any float type (Ba, Kiros and Hinton 2016). Within 1e-6 (1 + max|x| / sqrt(var + eps)) |weight| + 1e-7 |bias|
    for random rows of up to 10,000 items."""

def softmax(x: mx.array) -> mx.array:
    """Over the last dim of `x` [..., D]; a row with NaN or infinity, or of nothing but -infinity, is NaN. Within a
    relative 1e-6 + 1.2e-7 (max(x) - x)."""

def rope(
    x: mx.array,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: int,
    freqs: mx.array | None = None,
) -> mx.array:
    """Rotary position embedding (Su et al. 2021) of `x` [..., L, D], as `mlx.core.fast.rope` has it: rows stand at
    positions offset, offset + 1, ..., and pair i of their first `dims` items turns by position * scale *
    base^(-2 i / dims), or position * scale / freqs[i], in radians. Pairs are neighbours where `traditional`, else items
    dims / 2 apart. One of `base` and `freqs` [dims / 2] is None.

    Angles are float64: sines and cosines are within 1.5e-7, an item of a pair (a, b) within 2.5e-7 (|a| + |b|), at
    position 131,072 as at 0, up to position * scale = 2^24.
    """

def silu(x: mx.array) -> mx.array:
    """`x / (1 + e^-x)`, within a relative 4e-7, or 1e-36 below -87."""

def gelu(x: mx.array, approximate: bool) -> mx.array:
    """`x` times the area under the normal curve up to `x` (Hendrycks and Gimpel 2016): within 2.5e-7 |x|, and a
    relative 1e-6 above -5. Where `approximate`, its form with tanh: within 2.5e-7 |x| of that."""

def gated(gate: mx.array, up: mx.array, kind: Literal["silu", "gelu_tanh"]) -> mx.array:
    """`activation(gate) * up` of two arrays of one shape, which may be the halves of one array. The type is the
    gate's."""

def argmax(x: mx.array) -> mx.array:
    """The place of the largest item along the last dim of `x` [..., D], the first of equals, as int32 [...] whatever
    the type of `x`; -1 where a row has a NaN, or infinity and its opposite. ValueError for rows without items."""

def cast(x: mx.array, dtype: mx.Dtype) -> mx.array:
    """`x` as float32, float16 or bfloat16: to the nearest, ties to even, subnormal numbers too; beyond float16's
    largest number is infinity."""

# --- model files

class Reader:
    """Reads blocks of GGUF's oldest types from files, without Python's lock: what is asked for first is begun first, by
    `threads` threads of its own and by who waits. ValueError for a negative number.
    """

    def __init__(self, threads: int) -> None: ...
    def read(self, file: int, name: str, place: int, words: U32, scales: U16, biases: U16) -> Reading:
        """Begin to read blocks of the type `name` (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0; 32 weights each) from byte `place` on
        of an open file by its descriptor, as many as there are scales. They come in MLX's affine layout of groups of
        32, without a changed value: fills contiguous `words` [blocks * bits], `scales` and `biases` [blocks], the bits
        of float16. A bias beyond float16 is infinity there. ValueError for another type, room of another size and a
        negative place, TypeError for arrays of other types."""

    def close(self) -> None:
        """Drop what no thread began, and wait for what one did. The end of the reader does so, too."""

class Reading:
    """What a `Reader` was asked for; it holds the room. Its end waits for the reading, if nobody did."""

    def wait(self) -> float:
        """A magnitude that no weight is above, as if biases were float32; NaN where a scale or a minimum is no finite
        number, where the file ends before the blocks do or cannot be read, and where the reader was closed before.
        Without Python's lock, and Ctrl-C ends the waiting. ValueError the second time."""

def strings(data: bytes, count: int) -> list[str]:
    """The first `count` strings of GGUF's: each a length of eight bytes, lowest first, and so many bytes of UTF-8.
    UnicodeDecodeError; ValueError where the data end before."""

def skip_strings(data: bytes, place: int, count: int) -> tuple[int, int]:
    """Where `count` strings from `place` on end, and how many of them begin behind what there is of the data; the end
    of the last string before may lie behind it, too. ValueError for a negative place."""

class Bpe:
    """Words into tokens by merges of pairs (Sennrich, Haddow and Birch 2016), as the library `tokenizers` does it.

    `tokens` and `merges` are lists of GGUF's strings, as `strings` takes them, of which copies are made: about 80 bytes
    a token and its merge are kept. A merge is two tokens with a space between, the first one from the second byte on.
    Tokens whose ids are `apart` are made of no text, and merges with them are left out. With `whole_words` a word that
    is a token is that token, however it would be merged; with `byte_fallback` a letter that is no token is written by
    the tokens of its bytes (`<0x0A>`). Threads may share it. ValueError for a token that is empty or there twice, a
    merge that does not join two tokens to a third, an id that is none, and data that end before their strings do.
    """

    def __init__(
        self,
        tokens: bytes,
        token_count: int,
        merges: bytes,
        merge_count: int,
        apart: Sequence[int],
        whole_words: bool,
        byte_fallback: bool,
    ) -> None: ...
    def encode(self, words: Sequence[str]) -> list[int]:
        """The ids of words, one after the other: of all neighbours that a merge joins, those of the first merge are
        joined first, the leftmost of equal ones. A letter that is no token and has not all the tokens of its bytes is
        left out. Without Python's lock, in n log n steps for n letters. TypeError for what is no Unicode."""

class Room:
    """Where the weights of a model lie: arrays side by side in memory of huge pages, where the system gives them on
    request (Linux), by which a decode is up to a fifth faster.

    An array that goes gives its memory back at once, but for what shares a page with its neighbours.
    """

    def __init__(self) -> None: ...
    def empty(self, shape: Sequence[int], dtype: mx.Dtype) -> mx.array:
        """An array filled with anything, evaluated, to be filled by whoever sees its memory before anything uses it. No
        memory is taken before it is written. MemoryError; ValueError for negative sizes."""

def empty(shape: Sequence[int], dtype: mx.Dtype) -> mx.array:
    """An array filled with anything, evaluated, whose memory is taken as it is written. Raises as `Room.empty` does."""

# --- attention

def attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    *,
    scale: float,
    causal: bool = False,
    window: int | None = None,
    mask: mx.array | None = None,
) -> mx.array:
    """`softmax(q @ k.T * scale + mask) @ v` in each head (Vaswani et al. 2017): q [B, H, L, D], k [B, K, S, D] and
    v [B, K, S, E] give [B, H, L, E] in q's type. H is a multiple of K; each is float32, float16 or bfloat16.

    With `causal`, the last query sees all keys, each before it one less; `window`, which goes with it, leaves a query
    the last `window` of those. `mask` broadcasts to [B, H, L, S]: bools that say what is seen, or floats that are
    added. A query that sees no key gives zeros. What is hidden is finite: 0 times infinity is NaN.

    Computed in float32 with a streaming softmax (Milakov and Gimelshein 2018; Dao et al. 2022): an item is right to
    2e-6 * (1 + r) times the largest |v|, where r is the largest `scale * sum(|q| * |k|) + |mask|`, and then rounded to
    q's type. Rows of float k and v without gaps are read in place. `transpose(0, 2, 1, 3)` and a reshape to
    [B, L, H * E] are no copy of the result. ValueError where shapes or types do not fit.
    """

def attention_packed(
    q: mx.array,
    keys: tuple[mx.array, mx.array, mx.array],
    values: tuple[mx.array, mx.array, mx.array],
    *,
    bits: int = 8,
    group_size: int,
    scale: float,
    causal: bool = False,
    window: int | None = None,
    mask: mx.array | None = None,
) -> mx.array:
    """`attention` over keys [B, K, S, D] and values [B, K, S, E] packed along their last dim, as weight, scales and
    biases from `mlx.core.quantize` in the mode "affine": 2, 3, 4, 5, 6 or 8 bits, groups of 32, 64 or 128. Their rows
    have no gaps; where they do, evaluation raises ValueError."""

def cached_attention(
    qkv: mx.array,
    keys: mx.array,
    values: mx.array,
    *,
    heads: int,
    kv_heads: int,
    offset: int,
    scale: float,
    window: int | None = None,
    rope_dims: int,
    rope_base: float | None = None,
    rope_scale: float = 1.0,
    traditional: bool = False,
    freqs: mx.array | None = None,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    eps: float = 1e-6,
) -> tuple[mx.array, mx.array, mx.array]:
    """The middle of an attention block as one node: `qkv` [B, L, (heads + 2 * kv_heads) * D] is the joined projection,
    `keys` and `values` [B, kv_heads, C, D] are caches with room for C positions, of which the first `offset` are
    filled.

    Each head of queries and keys gets a root mean square norm where `q_norm` and `k_norm` [D] are given, and rotary
    positions `offset`... on its first `rope_dims` items (0: none), as in `mlx.core.fast.rope`, of which `rope_base` or
    `freqs` [rope_dims / 2] is given. Keys and values go to the positions offset to offset + L of the caches; queries
    see them causally, as in `attention`. Gives [B, L, heads * D] in qkv's type, and the caches with the new rows.

    The caches' memory is changed in place where nobody else holds it; a cache that is still referred to is copied and
    never changes. Steps that run ahead pass the first result alone to `async_eval`: the caches are computed with it,
    and `async_eval` would hold on to them until they are there. There is no gradient and no vmap: ValueError.
    ValueError, too, where shapes or types do not fit, and where offset + L exceeds C.
    """

# --- dense matrices

def matmul(a: mx.array, b: mx.array) -> mx.array:
    """`a` [..., M, K] times `b` [..., K, N] as `mlx.core.matmul` defines it: batches broadcast; an operand of rank 1 is
    a row on the left and a column on the right, and its dim is gone from the result.

    Both are float32, float16 or bfloat16, and the result is of the type of `a`; sums are in float32 and rounded once.
    Transposed views are read where they lie, in their own type. An item's error is at most K * 2^-24 times the sum of
    its products' sizes, in the tests (4 + 2 sqrt(K)) * 2^-24 of it, and one rounding of the result. The number of
    threads changes no bit; strides, batches and the instruction set may, since they decide on the order of the sums.
    ValueError for operands of other types, for inner dims that differ, for batches that do not broadcast, for more than
    2^60 results."""

def addmm(c: mx.array, a: mx.array, b: mx.array) -> mx.array:
    """`c + a @ b`, rounded once to the type of `a`; `c` is of floats, too, and broadcasts to the product. ValueError as
    from `matmul`, and where `c` does not fit."""
