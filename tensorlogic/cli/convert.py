"""`tlc convert`: a model in another format, another float type, or quantized.

What makes no sense is refused before anything is read: a quantization that the format of the result does not have, and
an ending that is of no format. Tells what became of the tensors, by their types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from tensorlogic.cli.loading import load_whole
from tensorlogic.cli.losses import losses_told
from tensorlogic.cli.options import verbose_option
from tensorlogic.cli.reporting import show_runtime_error

if TYPE_CHECKING:
    from tensorlogic.runtime.converting import Wish
    from tensorlogic.runtime.formats import FileHeader
    from tensorlogic.runtime.quantizations import Quantization
    from tensorlogic.runtime.reading import FloatType

_DTYPES = ("float16", "bfloat16", "float32", "native")
_ENDINGS = (".safetensors", ".gguf")
_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_WHOLE = frozenset({"I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL"})
_OF_A_PROGRAM = re.compile(r"load the model with `dtype: (\w+)`")
"""A help that `load_model` gives, which has another form here."""
Fate = Callable[[str, str], str]


@click.command("convert", short_help="Convert a model to another format or type.")
@click.argument("source", metavar="IN", type=click.Path(readable=False, path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path())
@click.option(
    "--dtype",
    type=click.Choice(_DTYPES),
    help="The type of floats that are not quantized. Default: native, each tensor's own.",
)
@click.option(
    "--quantize",
    "quantization",
    metavar="NAME",
    help="Quantize matrices: q4_0, q4_1, q5_0, q5_1 or q8_0 in GGUF; in safetensors mlx2 to mlx6 or mlx8 (in groups of "
    "64; of others as in mlx4-g32), mxfp4, mxfp8 or nvfp4.",
)
@click.option("--dequantize", is_flag=True, help="Expand what is quantized, before anything else.")
@verbose_option
def command(source: Path, target: str, dtype: str | None, quantization: str | None, dequantize: bool) -> int:
    """Convert the model IN, a file or a folder, to OUT: a `.safetensors` or a `.gguf` file, or a folder.

    A folder gets `model.safetensors` and, where IN is a folder, its `config.json` and tokenizer. OUT appears whole or
    not at all, and may be IN itself. What is quantized already stays so, bit for bit, where the format has the same
    values; what has not is expanded, and that is told. Norms, biases and other vectors are never quantized.

    With --verbose, stderr gets the number of values that were too small for their type and became 0.
    """
    path = Path(target)
    to_folder = path.is_dir() or target.endswith("/") or not path.suffix
    _check_target(path, target, to_folder)

    # Here, so that `tlc --help` does not load MLX.
    load_whole("numpy", "mlx.core")
    from tensorlogic.cli.progress import progress_shown
    from tensorlogic.runtime.converting import Wish, convert
    from tensorlogic.runtime.errors import ModelFileError

    ending = ".gguf" if path.suffix == ".gguf" and not to_folder else ".safetensors"
    kept = None if dtype == "native" else cast("FloatType | None", dtype)
    wish = Wish(kept, _checked_quantization(ending, quantization), dequantize)
    try:
        with losses_told(), progress_shown():
            before, after = convert(source, path, wish, to_folder=to_folder)
    except ModelFileError as problem:
        helps = [_OF_A_PROGRAM.sub(r"give `--dtype \1`", text) for text in problem.helps]
        show_runtime_error(ModelFileError(problem.code, problem.message, notes=problem.notes, helps=helps))
        return 1
    for line in _summary(before, after, wish):
        click.echo(line)
    return 0


def _check_target(path: Path, text: str, to_folder: bool) -> None:
    """A name without an ending, or with a slash behind it, is a folder's; a folder keeps one model."""
    from tensorlogic.runtime.formats.folder import INDEX

    if to_folder and path.suffix in _ENDINGS and not path.is_dir():
        raise click.BadParameter(f"`{text}` is a folder's name with a file's ending.", param_hint="OUT")
    if to_folder and (path / INDEX).exists():
        raise click.BadParameter(f"`{text}` holds a `{INDEX}`, which would hide the result.", param_hint="OUT")
    if not to_folder and path.suffix not in _ENDINGS:
        choices = " or ".join(f"`{ending}`" for ending in _ENDINGS)
        raise click.BadParameter(f"`{text}` must end in {choices}, or be a folder.", param_hint="OUT")


def _checked_quantization(ending: str, name: str | None) -> Quantization | None:
    """The quantization of this name, which a file of this ending has."""
    if name is None:
        return None
    from tensorlogic.runtime.quantizations import QUANTIZATIONS

    possible = [known.name for known in QUANTIZATIONS.values() if known.ending == ending]
    chosen = QUANTIZATIONS.get(name.lower())
    if chosen is not None and chosen.ending == ending:
        return chosen
    what = f"`{name}` is no quantization" if chosen is None else f"a `{ending}` file cannot be quantized as `{name}`"
    raise click.BadParameter(f"{what}. Choose one of: {', '.join(possible)}.", param_hint="--quantize")


def _summary(before: FileHeader, after: FileHeader, wish: Wish) -> Iterator[str]:
    """The sizes, for each pair of types how many tensors changed from the one to the other, and what was in vain."""
    from tensorlogic.cli.inspect_text import size
    from tensorlogic.compiler.diagnostics.glyphs import visible
    from tensorlogic.runtime.formats.summary import stored_bytes

    groups: dict[tuple[str, str], list[str]] = {}
    for name, info in after.tensors.items():
        groups.setdefault((before.tensors[name].storage, info.storage), []).append(name)
    sizes = [size(sum(map(stored_bytes, header.tensors.values()))) for header in (before, after)]
    count = len(after.tensors)
    yield f"{visible(str(after.path))}: {count} tensor{'' if count == 1 else 's'}, {sizes[0]} became {sizes[1]}"
    fate = _fates(wish)
    width = max((len(" -> ".join(pair)) for pair in groups), default=0)
    for (old, new), names in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        yield f"  {f'{old} -> {new}':<{width}}  {len(names):>6}  {fate(old, new)}"
    if wish.quantization is not None and not any("quantized" in fate(*pair) for pair in groups):
        more = "; with `--dequantize`, what is quantized already is quantized again" if not wish.dequantize else ""
        yield f"  nothing was quantized{more}"


def _fates(wish: Wish) -> Fate:
    """What a change of the storage type means for the values."""

    def fate(old: str, new: str) -> str:
        was, now = _FLOAT_BYTES.get(old), _FLOAT_BYTES.get(new)
        if old in _WHOLE and old != new:
            return "the same values"
        if was is None and now is None and wish.dequantize:
            return "expanded, and quantized again"
        if old == new:
            return "kept"
        if was is None and now is None:
            return "repacked, the same values"
        if was is None:
            # Elements of eight bits are all in float16.
            return "expanded" if now == _FLOAT_BYTES["F32"] or old.startswith("F8_") else "expanded, rounded"
        if now is None:
            return "quantized"
        return "widened, the same values" if now > was else "rounded"

    return fate
