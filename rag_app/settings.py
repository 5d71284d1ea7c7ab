"""Every default, once: flags > environment (``RAG_APP_*``) > ``rag-app.toml`` > the values here.

The place of indexes and state follows from the environment alone.
"""

import logging
import os
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from model_prep.json_file import is_encodable
from model_prep.validation import invalid_reason
from rag_app.errors import SettingsError
from rag_app.surroundings import home as home  # noqa: PLC0414 - it was here
from rag_app.surroundings import indexes_folder as indexes_folder  # noqa: PLC0414

OcrMode = Literal["auto", "always", "never"]
RetrieverKind = Literal["hybrid", "dense", "lexical"]
AnswerChain = Literal["refine", "stuff"]
ContextKind = Literal["evidence", "full"]
EngineKind = Literal["local", "ray"]
SummaryChain = Literal["refine", "stuff", "map_reduce"]

_PREFIX = "RAG_APP_"
_FILE = "rag-app.toml"
_log = logging.getLogger(__name__)

# Defaults that the classes below the application have too.
CHUNK_SIZE = 600
"""Characters."""
CHUNK_OVERLAP = 100
"""Characters."""
MAX_FILE_BYTES = 200 * 2**20


class Settings(BaseModel):
    """All options of the application; sizes in characters where named so, else in tokens.

    Those that are not given are the environment's, then those of ``rag-app.toml`` in the working
    directory. That is read here, in a few lines: pydantic-settings takes a command as long to
    import as all that it asks of the resident engine.

    Example:
        >>> settings = load_settings(k=6, index="contracts")
        >>> settings.k, settings.index_name, settings.chunk_size
        (6, 'contracts', 600)
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # one may be a key
        allow_inf_nan=False,
    )

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**_of_file(), **_of_environment(type(self)), **given})

    # Index
    index: str = "default"
    """Name under ``home()/indexes``, or a folder when it has a path separator."""
    store: str = "local"
    """Where the index is: ``local``, a folder of this machine, or ``milvus:URI``."""
    store_token: SecretStr | None = None
    """Sent to Milvus, such as ``user:password``."""
    embedding: str = "multilingual-e5-small"
    """Catalog name, sentence-transformers folder, hub name, OpenAI-compatible URL, or LangChain's
    ``provider:model``."""
    embedding_dtype: Literal["int8", "float32"] | None = None
    """In which the matrices of a model of this machine are multiplied; by default int8 for the
    default model, and float32 for others unless they were pulled with ``--onnx``. An index made in
    one can be searched in the other."""
    embedding_batch: int = Field(default=16, ge=1)
    chunk_size: int = Field(default=CHUNK_SIZE, ge=20)
    """Characters."""
    chunk_overlap: int = Field(default=CHUNK_OVERLAP, ge=0)
    """Characters."""
    max_file_bytes: int = Field(default=MAX_FILE_BYTES, ge=1)
    max_passages: int | None = Field(default=None, ge=1)
    """In one document; one that has more is refused."""

    ocr: OcrMode = "auto"
    """Whether pictures are read: where there is no text, always, or never."""

    # Retrieval
    retriever: RetrieverKind = "hybrid"
    reranker: str | None = None
    """Folder or hub name of a cross-encoder, which puts what was found in order."""
    k: int = Field(default=4, ge=1, le=100)
    within: str | None = None
    """Path, folder or glob; only documents that it means are searched."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Probability of relevance below which nothing was found; 0 switches refusal off."""
    max_question_chars: int = Field(default=8000, ge=1)
    calibrations: Path | None = None
    """What `rag-app eval --calibrate` fitted, by language model; by default in the home."""

    # Model
    llm: str = "qwen2.5-coder-1.5b-instruct"
    """Catalog name, .gguf file, Hugging Face folder or hub name, OpenAI-compatible URL or
    several of one model with commas between them, or LangChain's ``provider:model``."""
    lora: str | None = None
    """Folders of LoRAs for a Hugging Face folder, in order, with commas between them."""
    tokenizer: str | None = None
    """Folder or file of the tokenizer of a Hugging Face folder, if not its own."""
    llm_name: str | None = None
    """Model name sent to OpenAI-compatible URLs."""
    llm_api_key: SecretStr | None = None
    """Sent to each OpenAI-compatible URL or a provider."""
    context_length: int = Field(default=8192, ge=256)
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; by default every physical core, for llama.cpp less those others keep busy."""
    gpus: str | None = None
    """Comma-separated GPU indices; by default the first one there is."""
    quantize: Literal["8bit", "4bit"] | None = None
    parallel: int = Field(default=1, ge=1, le=64)
    """Calls to a local model that are worked on together; in a server, to each URL of one."""

    # Sampling
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int = Field(default=40, ge=1)
    repetition_penalty: float = Field(default=1.0, gt=0)
    max_new_tokens: int = Field(default=400, ge=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    """The same one gives the same answer again; by default each is different."""

    # Resident engine and prompt cache
    cache_size: float = Field(default=2.0, ge=0)
    """Gigabytes of prompts that are kept on disk, so that they are not read again; 0 keeps none."""
    keep_alive: float = Field(default=10.0, ge=0)
    """Minutes that the engine of `rag-app ask` stays in memory after its last use; 0 is never."""

    # Chains
    prompts: Path | None = None
    """Folder of prompts that take the place of the default ones, as ``TASK.LANGUAGE.txt``."""
    answer_chain: AnswerChain = "refine"
    context: ContextKind = "evidence"
    """What refine reads first: the sentences that bear on the question, or whole passages."""
    answer_step_tokens: int = Field(default=512, ge=1)
    """Tokens of passages in one step of the refine chain; a step holds one passage at least."""
    summary_chain: SummaryChain = "refine"
    summary_length: int = Field(default=200, ge=1)
    """Characters (Chinese) or words (English) to aim at."""
    summary_step_tokens: int = Field(default=3000, ge=1)
    """Tokens of text in one step of a summary, less where the window is smaller."""

    # Server
    api_key: SecretStr | None = None
    """Clients must send it; several are separated by commas. Never sent anywhere."""
    api_key_file: Path | None = None
    """A key in each line, alone or as ``NAME KEY [read|write] [index:NAME …]``."""
    queue_limit: int = Field(default=64, ge=0)
    """Requests that may wait for the model; one more is told to come back later."""
    request_seconds: float = Field(default=1800.0, gt=0)
    """Time after which a request is given up, waiting included."""
    read_seconds: float = Field(default=30.0, gt=0)
    """Longest wait for the next part of a request that a client is sending."""
    idle_seconds: float = Field(default=60.0, ge=0)
    """Without a request, after which a server makes summaries of documents that are missing, with
    a model of this machine; 0 is never."""
    reply_limit: int = Field(default=4096, ge=1)
    """Most tokens a request may ask for."""
    requests_per_minute: int = Field(default=0, ge=0)
    """For each key; 0: no limit."""
    log_prompts: bool = False
    """Write questions and prompts into the log."""
    upload_passages: int = Field(default=20_000, ge=1)
    """Most passages of an uploaded document."""
    job_seconds: float = Field(default=6 * 3600.0, gt=0)
    """Time after which the indexing of an upload is given up."""
    max_body_bytes: int = Field(default=8 * 2**20, ge=1)
    """The body of a request that uploads nothing."""
    max_upload_bytes: int = Field(default=2 * 2**30, ge=1)
    """All files in one request; each is held to ``max_file_bytes`` as well."""

    @field_validator(
        "index", "embedding", "reranker", "within", "llm", "lora", "tokenizer", mode="before"
    )
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        return str(value.expanduser().absolute()) if isinstance(value, Path) else value

    @field_validator("index")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        if not value.strip() or "\0" in value:
            raise ValueError("the index has no name; give one, or a folder")
        if not is_encodable(value):
            raise ValueError("the name is not valid text; give another")
        return value

    @field_validator("llm", "embedding")
    @classmethod
    def _names_a_model(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the name is empty; give a model or leave it out")
        return value

    @field_validator("lora", "within", mode="before")
    @classmethod
    def _of_repeated_option(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, list):
            return value
        if info.field_name == "within" and len(value) > 1:
            raise ValueError("one path is taken; name a folder or a glob that means all")
        if not all(isinstance(path, str) for path in value):
            raise ValueError("must be paths")
        return ",".join(value) or None

    @field_validator("store")
    @classmethod
    def _is_a_store(cls, value: str) -> str:
        kind, _, uri = value.partition(":")
        if value != "local" and not (kind == "milvus" and uri):
            raise ValueError("give local, or milvus: with a URI")
        return value

    @field_validator("llm_api_key", "api_key")
    @classmethod
    def _no_blank_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("the key is empty; give one or leave it out")
        return value

    @field_validator("llm_api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value else ""
        if not (key.isascii() and key.isprintable()):
            raise ValueError("the key holds characters that no key has; copy it again")
        return SecretStr(key) if value else None

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Self:
        if self.chunk_overlap >= self.chunk_size:
            msg = f"chunk overlap {self.chunk_overlap} must be below chunk size {self.chunk_size}"
            raise ValueError(msg)
        return self

    @property
    def index_folder(self) -> Path:
        """The folder of the index."""
        if os.sep in self.index or self.index.startswith((".", "~")):
            return Path(self.index).expanduser()
        return indexes_folder() / self.index

    @property
    def calibrations_file(self) -> Path:
        """The file of calibrations, there or not."""
        return self.calibrations or home() / "calibrations.json"

    @property
    def index_name(self) -> str:
        """What a store of many calls the index."""
        folder = self.index_folder
        return folder.name if folder.parent == indexes_folder() else str(folder.absolute())

    @property
    def client_keys(self) -> list[str]:
        """The keys of which clients of the server must send one."""
        return self.api_key.get_secret_value().split(",") if self.api_key else []


DEFAULTS = Settings.model_construct()
"""The values above, whatever the environment says."""


def load_settings(**flags: Any) -> Settings:
    """Return the settings in effect; flags that are None were not given.

    Raises:
        SettingsError: a value is of the wrong type, out of range or unknown.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        names = error.errors()[0]["loc"][:1]  # none of a rule between options
        flag = next((str(name) for name in names if name in given), "")
        raise SettingsError(_one_line(error, given), flag=flag) from error


def _of_environment(settings: type[BaseModel]) -> dict[str, str]:
    """Return the options that the environment gives, whatever the case of their names.

    A blank value is of a variable that was not set where it was passed on, as ``K=${K}`` in a
    compose file. A blank key is kept, to be refused: it was meant to close a door. Quotes around a
    value are of a file of variables, whose readers differ in leaving them out.
    """
    given: dict[str, str] = {}
    for name in filter(lambda name: name.upper().startswith(_PREFIX), os.environ):
        field, value = name[len(_PREFIX) :].lower(), os.environ[name].strip()
        if value[:1] in ("'", '"') and value[:1] == value[1:][-1:]:
            value = value[1:-1]
        if field not in settings.model_fields:
            _warn_of_unknown(name)
        elif value or "api_key" in field:
            given[field] = value
    return given


@cache
def _warn_of_unknown(name: str) -> None:
    """Say once that a variable is none of ours, where it may be a mistyped one."""
    from difflib import get_close_matches

    for near in get_close_matches(name[len(_PREFIX) :].lower(), Settings.model_fields, 1, 0.8):
        _log.warning("%s is passed over; is it %s%s?", name, _PREFIX, near.upper())


def _of_file() -> dict[str, Any]:
    """Return the options that the file gives, if there is one."""
    try:
        text = Path(_FILE).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        msg = f"{_FILE} can't be read ({error.strerror}); correct or remove it"
        raise SettingsError(msg) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{_FILE} is not UTF-8; save it in that encoding") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{_FILE} is not TOML: {error}; text stands in '…'") from error


def _one_line(error: ValidationError, flags: Collection[str]) -> str:
    """Return what is wrong first; values are shown of options that hold no key, and of no others.

    An unknown name may be a mistyped ``api_key``, and a rule between options is given all of them.
    """
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    field = Settings.model_fields.get(name)
    open_value = field is not None and field.annotation != SecretStr | None
    label = f"{_label(name, flags)}: " if name else ""
    if first["type"] == "extra_forbidden":
        from difflib import get_close_matches

        near = get_close_matches(name.lower().replace("-", "_"), Settings.model_fields, n=1)
        return f"{label}no such option; " + (f"is it {near[0]}?" if near else "remove it")
    got = f" (got {first['input']!r})" if open_value else ""
    return f"{label}{invalid_reason(first)}{got}; see rag-app --help"


def _label(name: str, flags: Collection[str]) -> str:
    """Return an option's name as it was written where it was given."""
    if name in flags:
        return name
    if name in _of_environment(Settings):
        return _PREFIX + name.upper()
    return f"{name} in {_FILE}" if name in _of_file() else name
