"""Core ML models: an `.mlpackage` folder, a single `.mlmodel` file, or what macOS compiled of them (`.mlmodelc`).

Takes a path, gives the header: inputs, outputs, metadata and every weight's place. All of it is read from the files'
own bytes, within bounds and without Apple's library, so that it works on every system, costs milliseconds and cannot
be made to hang. Programs and neural networks have tensors, and pipelines those of their models; other models (trees,
vectors, tables) open without. The messages: https://github.com/apple/coremltools/blob/main/mlmodel/format/Model.proto.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.coreml.blobs import Blobs, is_inner
from tensorlogic.runtime.formats.coreml.compiled import read_compiled
from tensorlogic.runtime.formats.coreml.features import read_features, read_notes
from tensorlogic.runtime.formats.coreml.network import read_network
from tensorlogic.runtime.formats.coreml.program import read_program
from tensorlogic.runtime.formats.coreml.protobuf import Buffer, Message
from tensorlogic.runtime.formats.features import Feature
from tensorlogic.runtime.formats.files import OpenFiles, open_file
from tensorlogic.runtime.formats.folder import check_inside, read_object
from tensorlogic.runtime.formats.header import (
    MAX_TENSORS,
    FileHeader,
    MetadataValue,
    TensorInfo,
    damaged,
    shown,
    unsupported,
)

COMPILED = ".mlmodelc"
ENDINGS = (".mlpackage", ".mlmodel", COMPILED)
_MOST_READ = 1 << 26
"""Bytes of a description that is read as a whole."""

_PROGRAM = 502
_NETWORKS = (303, 403, 500)
_PIPELINE, _WRAPPED_PIPELINES = 202, (200, 201)
_TYPES = {
    200: "pipelineClassifier",
    201: "pipelineRegressor",
    202: "pipeline",
    300: "glmRegressor",
    301: "supportVectorRegressor",
    302: "treeEnsembleRegressor",
    303: "neuralNetworkRegressor",
    304: "bayesianProbitRegressor",
    400: "glmClassifier",
    401: "supportVectorClassifier",
    402: "treeEnsembleClassifier",
    403: "neuralNetworkClassifier",
    404: "kNearestNeighborsClassifier",
    500: "neuralNetwork",
    501: "itemSimilarityRecommender",
    502: "mlProgram",
    555: "customModel",
    556: "linkedModel",
    560: "classConfidenceThresholding",
    600: "oneHotEncoder",
    601: "imputer",
    602: "featureVectorizer",
    603: "dictVectorizer",
    604: "scaler",
    606: "categoricalMapping",
    607: "normalizer",
    609: "arrayFeatureExtractor",
    610: "nonMaximumSuppression",
    900: "identity",
    2000: "textClassifier",
    2001: "wordTagger",
    2002: "visionFeaturePrint",
    2003: "soundAnalysisPreprocessing",
    2004: "gazetteer",
    2005: "wordEmbedding",
    2006: "audioFeaturePrint",
    3000: "serializedModel",
}


def read_core_ml(path: Path, files: OpenFiles) -> FileHeader:
    """The checked header; the files that its tensors lie in are open then. Raises `ModelFileError` (TL4001 to TL4004,
    TL4053, TL4065) for what is no model, or contradicts itself."""
    if path.suffix == COMPILED:
        return read_compiled(path)
    if path.suffix == ".mlmodel":
        return _read_model(path, path, path.parent, files)
    return _read_model(path, _root_model(path), path, files)


def _root_model(package: Path) -> Path:
    """The model's file, which the manifest of a package names."""
    manifest = package / "Manifest.json"
    check_inside(package, manifest)
    try:
        members = read_object(manifest)
    except ModelFileError as error:
        if error.code == "TL4001" and os.path.exists(package):
            damaged(package, "it is no package, which is a folder with a `Manifest.json`")
        raise
    root, entries = members.get("rootModelIdentifier"), members.get("itemInfoEntries")
    entry = entries.get(root) if isinstance(entries, dict) and isinstance(root, str) else None
    name = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        damaged(manifest, "it does not name the file of the root model")
    if not is_inner(name):
        damaged(manifest, f"it names `{shown(name)}`, which is no path inside of the package")
    model = package / "Data" / name
    check_inside(package, model)
    return model


def _read_model(path: Path, model: Path, root: Path, files: OpenFiles) -> FileHeader:
    file = files[model] = open_file(model)
    if not os.fstat(file.fileno()).st_size:
        damaged(model, "it is empty")
    with _content(file, model) as data:
        message = Buffer(data, model).message()
        description = message.message(2)
        kind = _type(message)
        metadata: dict[str, MetadataValue] = {} if description is None else read_notes(description)
        metadata |= {"coreml.type": _TYPES[kind], "coreml.specificationVersion": message.signed(1)}
        tensors = _tensors(message, kind, Blobs(model.parent, root, files), "")
        inputs, outputs = _features(description)
    return FileHeader("coreml", path, tensors, metadata, inputs, outputs)


@contextmanager
def _content(file: io.FileIO, path: Path) -> Iterator[bytes | mmap.mmap]:
    """A model's description, which is read: somebody who shortens a mapped file ends the process.

    Only that of a neural network with its weights inside is mapped, where it is large.
    """
    size = os.fstat(file.fileno()).st_size
    if size > _MOST_READ:
        with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            yield data
        return
    content = os.pread(file.fileno(), size, 0)
    if len(content) != size:
        damaged(path, "it became shorter while it was read")
    yield content


def _type(model: Message) -> int:
    """Which kind of model the message holds, by the number of its field."""
    path = model.buffer.path
    known, other = 0, 0
    for number, _ in model.fields():
        if number in _TYPES:
            known = number
        elif number >= min(_TYPES):
            other = number
    if known:
        return known
    if other:
        unsupported(path, f"it is a model of the kind {other}, which this version does not know")
    damaged(path, "it holds no model")


def _features(description: Message | None) -> tuple[tuple[Feature, ...], tuple[Feature, ...]]:
    """Inputs, with the states after them, and outputs: of the default function, where there are several."""
    if description is None:
        return (), ()
    main = description.text(21)
    for function in description.messages(20):
        if function.text(1) == main:
            return read_features(function, 2) + read_features(function, 6), read_features(function, 3)
    return read_features(description, 1) + read_features(description, 13), read_features(description, 10)


def _tensors(model: Message, kind: int, blobs: Blobs, prefix: str) -> dict[str, TensorInfo]:
    found = model.message(kind)
    assert found is not None, "the kind is that of a field that is there"
    if kind == _PROGRAM:
        description = model.message(2)
        main = "" if description is None else description.text(21)
        return read_program(found, blobs, main or "main", prefix)
    if kind in _NETWORKS:
        return read_network(found, prefix)
    if kind in _WRAPPED_PIPELINES:
        pipeline = found.message(1)
        return {} if pipeline is None else _of_pipeline(pipeline, blobs, prefix)
    return _of_pipeline(found, blobs, prefix) if kind == _PIPELINE else {}


def _of_pipeline(pipeline: Message, blobs: Blobs, prefix: str) -> dict[str, TensorInfo]:
    """The tensors of a pipeline's models, each below the model's name, or its place where it has none."""
    tensors: dict[str, TensorInfo] = {}
    path = pipeline.buffer.path
    names = dict(enumerate(pipeline.texts(2)))
    for place, model in enumerate(pipeline.messages(1)):
        own = _tensors(model, _type(model), blobs, f"{prefix}{names.get(place) or place}.")
        twice = next((name for name in own if name in tensors), None)
        if twice is not None:
            damaged(path, f"two weights are called `{shown(twice)}`")
        tensors |= own
        if len(tensors) > MAX_TENSORS:
            unsupported(path, f"it has more than {MAX_TENSORS} tensors")
    return tensors
