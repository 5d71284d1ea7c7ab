"""Loading and saving of LLaMA tokenizers that split text exactly as SentencePiece does.

transformers turns a ``tokenizer.model`` into a list of merges in the order of their scores. Pieces
that were appended to a vocabulary all have the same score, and such a list can't say that of equal
ones the leftmost is merged first: the text is split in other places than the model was trained on.
`ExactLlamaTokenizer` has SentencePiece itself split it.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import TokenizerError, first_line
from model_prep.json_file import optional_json, readable_folder
from model_prep.process_state import quiet_transformers
from model_prep.tokenizer.sentencepiece_file import parse_sentencepiece, read_sentencepiece

if TYPE_CHECKING:
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

MODEL_FILE = "tokenizer.model"
ALPACA_TEMPLATE = (
    "{{ bos_token }}Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request."
    "{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% set ns.system = message['content'] + '\\n' %}"
    "{% elif message['role'] == 'user' %}"
    "{{ '\\n\\n### Instruction:\\n' + ns.system + message['content'] }}"
    "{% set ns.system = '' %}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '\\n\\n### Response: ' + message['content'] + eos_token }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n\\n### Response: ' }}{% endif %}"
)
"""The format that Chinese-Alpaca was trained on, as a chat template (arXiv 2304.08177)."""

_LISTED = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")
"""The first line of tiktoken's list of tokens: one in base64, and its rank."""
_LOOKED_AT = 200
_PADS = ("<pad>", "<PAD>", "<|pad|>", "<|PAD|>")

# Classes that a folder may name and mean SentencePiece with ``<s>`` before the text.
_CLASSES = {None, "LlamaTokenizer", "LlamaTokenizerFast", "LLaMATokenizer", "ExactLlamaTokenizer"}


def load_tokenizer(source: str | Path) -> Any:
    """Return the tokenizer of a model, exact where it belongs to the LLaMA family.

    Args:
        source: A model's folder, a ``tokenizer.model``, or a name in the local hub cache.

    Returns:
        An `ExactLlamaTokenizer`, or what transformers has for a model of another family.

    Raises:
        TokenizerError: there is none, or it is damaged.
    """
    from transformers import AutoTokenizer

    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    file = _model_file(source)
    try:
        if Path(source).is_file():
            return ExactLlamaTokenizer(vocab_file=str(_llama_file(Path(source))))
        readable = readable_folder(source)
        if file and _is_llama(file):
            return ExactLlamaTokenizer.from_pretrained(str(readable), local_files_only=True)
        # Else transformers would ask whether to run a folder's code, and run it after a "y".
        with quiet_transformers(warnings=False):
            tokenizer = AutoTokenizer.from_pretrained(
                str(readable), local_files_only=True, trust_remote_code=False
            )
        _require_vocabulary(source, tokenizer)
        return tokenizer
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, TypeError) as error:
        known = Path(source).exists()
        reason = first_line(error) if known else "no such folder, nor that name in the hub's cache"
        msg = f"{source} has no tokenizer that can be loaded ({reason}); put its files there"
        raise TokenizerError(msg) from error


def _require_vocabulary(source: str | Path, tokenizer: Any) -> None:
    """Refuse what transformers makes of a folder without a vocabulary: a tokenizer of nothing."""
    names = [MODEL_FILE, "tokenizer.json", *type(tokenizer).vocab_files_names.values()]
    folder = Path(source)
    if folder.is_dir() and not any((folder / name).is_file() for name in names):
        raise ValueError(f"it holds neither tokenizer.json nor {MODEL_FILE}")


def save_tokenizer(
    tokenizer: "ExactLlamaTokenizer | str | Path",
    folder: Path,
    *,
    chat_template: str | None = None,
) -> None:
    """Write the exact tokenizer's files into ``folder``, its Python file among them.

    ``AutoTokenizer.from_pretrained(folder, trust_remote_code=True)`` is exact then; without the
    flag transformers asks for it and does not go on with an inexact one.

    Args:
        tokenizer: One that was loaded, or what `load_tokenizer` takes.
        folder: Is made where it is missing.
        chat_template: In place of the tokenizer's own; Jinja.

    Raises:
        TokenizerError: ``tokenizer`` is not of the LLaMA family.
        OSError: ``folder`` can't be written.
    """
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    loaded = load_tokenizer(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer
    if not isinstance(loaded, ExactLlamaTokenizer):
        msg = f"{tokenizer} is not a tokenizer of the LLaMA family; only those are made exact"
        raise TokenizerError(msg)
    own_template = loaded.chat_template
    try:
        loaded.chat_template = chat_template or own_template
        loaded.save_pretrained(folder)
    finally:
        loaded.chat_template = own_template


def default_template(tokenizer: Any) -> str | None:
    """Return a tokenizer's chat template, Jinja, if it has one; of several that without tools."""
    template: Any = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    return template or None


def is_llama_folder(folder: Path) -> bool:
    """Return whether a model's folder has a tokenizer that `load_tokenizer` makes exact."""
    file = _model_file(folder)
    return file is not None and _is_llama(file)


def added_to_texts(folder: Path) -> tuple[bool, bool]:
    """Return whether a folder's SentencePiece puts ``<s>`` before texts, and ``</s>`` after."""
    config = optional_json(folder / "tokenizer_config.json")
    return config.get("add_bos_token") is not False, config.get("add_eos_token") is True


def start_of(tokenizer: Any) -> str:
    """Return the token that a text begins with; empty where there is none, or a folder says so."""
    from model_prep.tokenizer.exact_llama import ExactLlamaTokenizer

    bare = isinstance(tokenizer, ExactLlamaTokenizer) and not tokenizer.add_bos_token
    return "" if bare else tokenizer.bos_token or ""


def sentencepiece_of(folder: Path) -> Path | None:
    """Return the ``tokenizer.model`` of a folder, if there is one of SentencePiece.

    LLaMA 3's file of that name, beside its ``tokenizer.json``, lists tokens line by line.
    """
    file = folder / MODEL_FILE
    if not file.is_file():
        return None
    if (folder / "tokenizer.json").is_file():
        with file.open("rb") as data:
            if _LISTED.match(data.read(_LOOKED_AT)):
                return None
    return file


def vocabulary_size(source: str | Path) -> int:
    """Return how many ids a tokenizer has: its pieces, and tokens that were added after them.

    Args:
        source: A ``tokenizer.model`` or a folder that holds one, or a ``tokenizer.json``.

    Raises:
        TokenizerError: there is none, or it is damaged.
    """
    file = Path(source)
    if file.is_dir():
        file /= MODEL_FILE
    if file.name == "tokenizer.json":
        return _json_vocabulary_size(file)
    pieces = len(read_sentencepiece(file).pieces)
    return max([pieces - 1, *added_tokens(file.parent)]) + 1


def added_tokens(folder: Path) -> dict[int, str]:
    """Return the tokens that a folder adds to its ``tokenizer.model``, by id.

    Raises:
        TokenizerError: the files that name them are damaged.
    """
    newer = optional_json(folder / "tokenizer_config.json").get("added_tokens_decoder") or {}
    older = optional_json(folder / "added_tokens.json")
    try:
        tokens = {int(token_id): str(text) for text, token_id in older.items()}
        return tokens | {int(token_id): str(token["content"]) for token_id, token in newer.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"the added tokens in {folder} are damaged ({first_line(error)}); get its files again"
        raise TokenizerError(msg) from error


def unused_pads(file: Path) -> int:
    """Return how many of a tokenizer's last ids are padding: no text has them, nor any answer.

    LLaMA 2 was published with such a token and no row for it.

    Raises:
        TokenizerError: its files are damaged.
    """
    last, pads = vocabulary_size(file) - 1, 0
    tokens = added_tokens(file.parent) if file.name == MODEL_FILE else _json_added_tokens(file)
    own = len(read_sentencepiece(file).pieces) if file.name == MODEL_FILE else 0
    while last - pads >= own and tokens.get(last - pads) in _PADS:
        pads += 1
    return pads


def _json_added_tokens(file: Path) -> dict[int, str]:
    return {
        token["id"]: token["content"] for token in json.loads(file.read_bytes())["added_tokens"]
    }


def _json_vocabulary_size(file: Path) -> int:
    try:
        content = json.loads(file.read_bytes())
        ids = {token["id"] for token in content["added_tokens"]}
        vocabulary = content["model"]["vocab"]
        ids.update(vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary)))
        return int(max(ids)) + 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TokenizerError(f"{file} is not a tokenizer, or is damaged; get it again") from error


def _model_file(source: str | Path) -> Path | None:
    """Return the ``tokenizer.model`` of a file, a folder, or a name in the hub cache."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        return sentencepiece_of(path)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(str(source), MODEL_FILE)
    except HFValidationError:
        return None  # a path that is not there
    return Path(found) if isinstance(found, str) else None


def _is_llama(file: Path) -> bool:
    """Return whether a folder's tokenizer is SentencePiece's; LLaMA 3's, of that name, is not."""
    try:
        llama = parse_sentencepiece(file.read_bytes()).is_llama
    except ValueError:
        return False
    config = optional_json(file.parent / "tokenizer_config.json")
    return llama and config.get("tokenizer_class") in _CLASSES


def _llama_file(file: Path) -> Path:
    if not read_sentencepiece(file).is_llama:
        raise TokenizerError(f"{file} is a SentencePiece model, but not of the LLaMA family")
    return file
