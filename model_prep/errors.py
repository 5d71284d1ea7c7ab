"""Errors that a user of model_prep can cause.

The message is one line: what is wrong, then what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager

OWN_CODE = (
    "it needs Python code of its own, which is never run; take a model that transformers itself "
    "knows, or the same one as GGUF"
)
"""The advice for models that transformers would ask for ``trust_remote_code``."""


OUT_OF_MEMORY = "Cannot allocate memory"
"""What the system says, in whatever error of whatever library, of a file that can't be mapped."""


_OF_GPU_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What PyTorch says, in errors of several kinds, where a GPU's memory is used up."""


def is_of_gpu_memory(error: BaseException) -> bool:
    """Return whether an error is that the memory of a GPU is full."""
    return isinstance(error, RuntimeError) and any(what in str(error) for what in _OF_GPU_MEMORY)


def first_line(error: BaseException) -> str:
    """Return the first line of another package's error message, or else the error's name."""
    if "trust_remote_code" in str(error):
        return OWN_CODE
    if is_of_gpu_memory(error):  # PyTorch has a paragraph of numbers and advice
        return "the GPU's memory is full"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def permitted(kind: type[Exception]) -> Iterator[None]:
    """Have errors of one kind say what the user may not read."""
    try:
        yield
    except PermissionError as error:
        raise kind(f"{error.filename} can't be read ({error.strerror})") from error


class ModelPrepError(Exception):
    """Base of every error that the user can correct.

    Example:
        >>> from model_prep import pull
        >>> try:
        ...     pull("no-such-model")
        ... except ModelPrepError as error:
        ...     print(error)
        no model is named 'no-such-model'; known are: default, ...
    """


class UnknownModelError(ModelPrepError):
    """The catalog has no model of that name."""


class UsageError(ModelPrepError):
    """An option has a value that makes no sense."""


class PullError(ModelPrepError):
    """A model can't be fetched."""


class PushError(ModelPrepError):
    """A result can't be pushed to the hub."""


class UnreachableError(PullError):
    """The package index or the hub does not answer."""


class DiskSpaceError(ModelPrepError):
    """The disk is too full."""


class OutputError(ModelPrepError):
    """The output folder holds something already, or can't be written."""


class CheckpointError(ModelPrepError):
    """Weights are missing, damaged or of another layout."""


class MergeError(ModelPrepError):
    """A base, adapters or tokenizers can't be merged."""


class AdapterError(MergeError):
    """A folder is not a LoRA, is of a kind that can't be merged, or does not fit the base."""


class MergeOrderError(MergeError):
    """Base, adapters and tokenizers do not belong together in this order."""


class ChecksumError(ModelPrepError):
    """A file is not what its hash or its format says it should be."""


class TokenizerError(ModelPrepError):
    """A tokenizer is missing, damaged, or of another family."""


class ExportError(ModelPrepError):
    """A model can't be written as GGUF."""


class CrawlError(ModelPrepError):
    """An API refuses, does not answer, or gives nothing that can be kept."""


class GenerateError(ModelPrepError):
    """A model can't be loaded, or asked as the options say."""


class TrainingError(ModelPrepError):
    """A model can't be trained as asked: settings, data or model do not fit."""
