"""Models and adapters of one's own on the Hugging Face hub, or where ``HF_ENDPOINT`` points."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from model_prep.catalog.entry import HubSource
from model_prep.catalog.hub import endpoint, fetch_repository
from model_prep.errors import OutputError, PullError, PushError, UsageError, first_line
from model_prep.output import output_folder
from model_prep.process_state import quiet_hub
from model_prep.progress import Progress

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_NOT_PUSHED = ["checkpoint-*", "best", ".*", "*.lock", "tensorboard"]
"""What a training run needs to go on, and nobody else does."""


def require_hub(repo: str) -> None:
    """Check before any work that something can be pushed: the name, the token, the network.

    Raises:
        PushError: the name can't be one, or the hub knows no such token or can't be reached.
    """
    _require_name(repo)
    with _push_errors(repo):
        _api().whoami()


def push_to_hub(path: str | Path, repo: str) -> str:
    """Push a model, an adapter or a GGUF file; a repository that is new is private.

    Checkpoints of a training run stay here. What was pushed before and is the same is not sent
    again.

    Args:
        path: A folder, or a file.
        repo: ``NAME/REPOSITORY``.

    Returns:
        The address of the repository.

    Raises:
        PushError: the hub refuses or can't be reached, or the path does not exist.
    """
    path = Path(path)
    _require_name(repo)
    if not path.exists():
        raise PushError(f"{path} does not exist, so it can't be pushed")
    with _push_errors(repo):
        api = _api()
        url = api.create_repo(repo, private=True, exist_ok=True)
        message = f"Upload {path.name}"
        if path.is_dir():
            patterns = [each for name in _NOT_PUSHED for each in (name, f"{name}/*")]
            api.upload_folder(
                repo_id=repo, folder_path=path, ignore_patterns=patterns, commit_message=message
            )
        else:
            api.upload_file(
                repo_id=repo,
                path_or_fileobj=path,
                path_in_repo=path.name,
                commit_message=message,
            )
    return str(url)


def pull_repository(repo: str, folder: str | Path, *, progress: Progress | None = None) -> Path:
    """Fetch a repository into ``folder/REPOSITORY``, which appears whole or not at all.

    Args:
        repo: ``NAME/REPOSITORY``, or with ``@`` and a branch, tag or commit after it.
        folder: Where its folder is made.
        progress: Told how far it is.

    Returns:
        The folder.

    Raises:
        PullError: there is no such repository, or it can't be reached; or the folder has one.
        DiskSpaceError: the disk is too full.
        ChecksumError: a file is not what the hub says.
    """
    name, _, revision = repo.partition("@")
    if not _REPOSITORY.fullmatch(name):
        msg = f"{repo!r} is not a repository of the hub; --hub takes NAME/REPOSITORY[@REVISION]"
        raise UsageError(msg)
    place = Path(folder).expanduser() / name.rpartition("/")[2]
    source = HubSource(name, revision or "main", whole=True)
    try:
        with output_folder(place, 0) as partial:
            fetch_repository(source, partial, progress or (lambda *_: None))
    except OutputError as error:
        raise PullError(str(error)) from error
    return place


def _require_name(repo: str) -> None:
    if not _REPOSITORY.fullmatch(repo):
        msg = f"{repo!r} is not a repository of the hub; --push-to-hub takes NAME/REPOSITORY"
        raise PushError(msg)


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint())


@contextmanager
def _push_errors(repo: str) -> Iterator[None]:
    """Turn what the hub's client raises into one line."""
    from huggingface_hub import errors

    try:
        with quiet_hub():
            yield
    except errors.LocalTokenNotFoundError as error:
        reason = "there is no token: set HF_TOKEN, or run `hf auth login`"
        raise PushError(_cannot(repo, reason)) from error
    except errors.OfflineModeIsEnabled as error:
        raise PushError(_cannot(repo, "HF_HUB_OFFLINE is set")) from error
    except Exception as error:
        # By name: the hub's client is built on httpx or httpx2, depending on its version.
        bases = {base.__name__ for base in type(error).__mro__}
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            reason = "the token is not valid, or may not write there"
        elif "TransportError" in bases:
            reason = "it can't be reached; check the network and HF_ENDPOINT"
        elif bases & {"HTTPError", "OSError", "ValueError", "RuntimeError"}:
            reason = first_line(error.__cause__ or error)
        else:
            raise
        raise PushError(_cannot(repo, reason)) from error


def _cannot(repo: str, reason: str) -> str:
    return f"{repo} can't be pushed to {endpoint() or 'the hub'} ({reason})"
