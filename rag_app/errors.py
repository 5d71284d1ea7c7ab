"""Every error a user can cause, as one tree.

RagAppError
├── SettingsError          a flag, environment variable or rag-app.toml value is wrong
├── DocumentError          a source can't be read: missing, empty, binary, damaged, too large
├── IndexStoreError        the index can't be used: missing, locked, read-only, no disk
│   ├── BusyIndexError     another process is writing it
│   ├── DamagedIndexError  its SQLite file is damaged
│   └── EmbeddingMismatchError  it was made with another embedding model
├── BackupError            a backup is damaged, or can't be written or restored
├── ClusterError           Ray is missing, can't be reached, or failed
├── QuestionError          the question is empty or far too long
└── ModelError             a model is missing, truncated, or fails
    ├── PromptTooLongError what it is asked does not fit its window
    ├── SchemaError        the schema that its answer must follow is invalid
    └── ToolsError         the tools that it may call are invalid

The message is one line: what is wrong, then what to do.
Command lines print it on stderr and exit with 1.
"""


class RagAppError(Exception):
    """Base of every error that the user can correct.

    Example:
        >>> from rag_app import RagApp
        >>> try:
        ...     RagApp().documents()
        ... except RagAppError as error:
        ...     print(error)
        no index in ...default; run: rag-app index PATH
    """


class SettingsError(RagAppError):
    """A flag, environment variable or configuration value is wrong.

    Attributes:
        flag: The setting that was given as an argument and begins the message, or "".
    """

    def __init__(self, message: str, *, flag: str = "") -> None:
        super().__init__(message)
        self.flag = flag


class DocumentError(RagAppError):
    """A source can't be read as a document."""


class IndexStoreError(RagAppError):
    """The index can't be opened, read or written."""


class BusyIndexError(IndexStoreError):
    """Another process is writing the index."""


class DamagedIndexError(IndexStoreError):
    """The SQLite file of the index is damaged."""


class EmbeddingMismatchError(IndexStoreError):
    """The index was made with another embedding model."""


class BackupError(RagAppError):
    """A backup is damaged, or can't be written or restored."""


class ClusterError(RagAppError):
    """Ray, which indexes on several machines, is missing, can't be reached, or failed."""


class ModelError(RagAppError):
    """A model is missing, damaged or fails."""


class PromptTooLongError(ModelError):
    """What the model is asked does not fit its window.

    It says so in OpenAI's words, by which LiteLLM and agents know that they must shorten it.
    """


class SchemaError(ModelError):
    """The schema that an answer must follow is invalid, or of a kind the model's backend lacks."""


class ToolsError(ModelError):
    """The tools that a model may call are invalid.

    Args:
        message: What is wrong.
        param: Which option of the call is: ``tools`` or ``tool_choice``.
    """

    def __init__(self, message: str, param: str = "tools") -> None:
        super().__init__(message)
        self.param = param


class QuestionError(RagAppError):
    """The question is empty or far too long."""
