"""A tokenizer of the LLaMA family that encodes and decodes exactly as SentencePiece does.

This one file needs nothing but `sentencepiece` and `transformers`. A copy of it is in every
folder that the tokenizer is saved to, so that
``AutoTokenizer.from_pretrained(folder, trust_remote_code=True)`` is exact too.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sentencepiece import SentencePieceProcessor
from transformers import AddedToken, BatchEncoding, PreTrainedTokenizer

_BARRIER = "\x01"  # a character of one byte piece, which no other piece can merge with
_MANY_CHARS = 100_000
"""From here on the work is shared by all cores; threads cost more than they save below."""
_NOWHERE = (0, 0)


class _Part(NamedTuple):
    """A stretch of text, or an added token."""

    ids: list[int]
    begin: int  # where in the text, in characters
    end: int | None = None  # where a token ends


class ExactLlamaTokenizer(PreTrainedTokenizer):
    """Text to ids and back by SentencePiece itself, with ``<s>`` before each text by default.

    Text is text: what looks like a special token is encoded as the characters that it has. Only
    with ``add_special_tokens=False``, as for a chat rendered by the template, does ``<s>`` or
    ``</s>`` in the text stand for the token (unless ``split_special_tokens=True``).

    With ``skip_special_tokens=True`` the bytes of a character that is not complete at the end are
    left out of the decoded text, so that a stream never shows half a character.

    Args:
        vocab_file: A ``tokenizer.model`` with byte fallback.
        pad_token: By default the piece ``[PAD]`` where there is one, else ``<unk>``: a loss that
            leaves padding out still teaches where to end, which with ``</s>`` it would not.
        legacy: Whether text after a special token begins with a space piece, as it does at the
            beginning of a text.
        add_bos_token: Whether ``<s>`` is put before each text; by default it is.
        add_eos_token: Whether ``</s>`` is put after each text; by default it isn't.
    """

    vocab_files_names = {"vocab_file": "tokenizer.model"}  # noqa: RUF012 - declared by transformers
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 - declared by transformers
    padding_side = "left"
    _auto_class = "AutoTokenizer"

    def __init__(
        self,
        vocab_file: str,
        bos_token: str | AddedToken | None = None,
        eos_token: str | AddedToken | None = None,
        unk_token: str | AddedToken | None = None,
        pad_token: str | AddedToken | None = None,
        legacy: bool | None = True,
        add_bos_token: bool | None = None,
        add_eos_token: bool | None = None,
        **kwargs: Any,
    ) -> None:
        self._model = Path(vocab_file).read_bytes()
        sp = self._sp = SentencePieceProcessor(model_proto=self._model)
        self._pieces: list[str] = sp.id_to_piece(list(range(sp.get_piece_size())))
        # The value of each byte piece, such as <0x0A>, by its id.
        self._bytes = {
            token_id: int(piece[3:5], 16)
            for token_id, piece in enumerate(self._pieces)
            if sp.is_byte(token_id)
        }
        self.vocab_file = vocab_file
        self.legacy = legacy is not False
        self.add_bos_token = add_bos_token is not False
        self.add_eos_token = add_eos_token is True
        unk = unk_token or self._pieces[sp.unk_id()]
        for passing in ("backend", "is_local", "local_files_only"):  # not to be saved
            kwargs.pop(passing, None)
        super().__init__(  # type: ignore[no-untyped-call]
            vocab_file=vocab_file,
            # Old folders say "" where they mean the model's own.
            bos_token=bos_token or self._pieces[sp.bos_id()],
            eos_token=eos_token or self._pieces[sp.eos_id()],
            unk_token=unk,
            pad_token=pad_token or ("[PAD]" if "[PAD]" in self._pieces else unk),
            legacy=self.legacy,
            backend="sentencepiece",
            **{"token_type_ids_pattern": "all_zeros", **kwargs},
        )
        # Folders of transformers before 4.34 name special tokens, and say of no added token that it
        # is one.
        for token in self._added_tokens_decoder.values():
            token.special = token.special or token.content in self.all_special_tokens
        self._update_trie()

    # The vocabulary

    @property
    def vocab_size(self) -> int:
        """Pieces of the model, added tokens not counted."""
        return len(self._pieces)

    def get_vocab(self) -> dict[str, int]:
        """Return the id of each piece and added token."""
        return {piece: i for i, piece in enumerate(self._pieces)} | self._added_tokens_encoder

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write the model as it was read, byte for byte."""
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        target = Path(save_directory) / f"{prefix}tokenizer.model"
        target.write_bytes(self._model)
        return (str(target),)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Write the tokenizer's files; transformers leaves out which tokens are added to texts."""
        files: tuple[str, ...] = super().save_pretrained(save_directory, *args, **kwargs)
        added = {"add_bos_token": self.add_bos_token, "add_eos_token": self.add_eos_token}
        if added != {"add_bos_token": True, "add_eos_token": False}:
            config = next(Path(file) for file in files if file.endswith("tokenizer_config.json"))
            values = {**json.loads(config.read_bytes()), **added}
            text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
            config.write_text(f"{text}\n", encoding="utf-8")
        return files

    def _convert_token_to_id(self, token: str) -> int:
        return int(self._sp.piece_to_id(token))

    def _convert_id_to_token(self, index: int) -> str:
        return self._pieces[index]

    def _update_trie(self, unique_no_split_tokens: list[str] | None = None) -> None:
        super()._update_trie(unique_no_split_tokens)
        tokens = list(self._added_tokens_decoder.values())
        self._any_token = _pattern(tokens)
        self._plain_token = _pattern([token for token in tokens if not token.special])

    # Encoding

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **kwargs: Any
    ) -> list[str]:
        """Return the pieces of ``text``; see the class for text that holds special tokens."""
        ids = self.encode(text, pair, add_special_tokens=add_special_tokens, **kwargs)
        return list(self.convert_ids_to_tokens(ids))

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return [self._pieces[token_id] for token_id in self._sp.encode(_encodable(text))]

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Put ``<s>`` before each sequence and ``</s>`` after it, where this tokenizer does."""
        sequences = [token_ids_0] if token_ids_1 is None else [token_ids_0, token_ids_1]
        begin, end = self._around
        return [i for ids in sequences for i in [*begin, *ids, *end]]

    @property
    def _around(self) -> tuple[list[int], list[int]]:
        """The ids that are put before and after each sequence."""
        return [self.bos_token_id] * self.add_bos_token, [self.eos_token_id] * self.add_eos_token

    def get_special_tokens_mask(
        self,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 where a special token is, 0 where text is."""
        if already_has_special_tokens:
            special = set(self.all_special_ids)
            return [int(token_id in special) for token_id in token_ids_0]
        begin, end = ([1] * len(ids) for ids in self._around)
        sequences = [token_ids_0] if token_ids_1 is None else [token_ids_0, token_ids_1]
        return [i for ids in sequences for i in [*begin, *[0] * len(ids), *end]]

    def _encode_plus(  # type: ignore[override]
        self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        as_text = options.get("split_special_tokens", self.split_special_tokens)
        tokens = self._plain_token if add_special_tokens or as_text else self._any_token
        words, marked = map(options.get, ("is_split_into_words", "sanitize_control_tokens"))
        single = isinstance(text, str) and not words and not marked
        many = isinstance(text, list) and all(isinstance(item, str) for item in text)
        rest = words or marked or options.get("return_overflowing_tokens")
        if (single or many) and text_pair is None and not rest:
            rows = self._ids_of([text] if single else text, tokens)
            return self._batch(text, rows, tokens, add_special_tokens, options)
        if options.pop("return_offsets_mapping", False):
            raise NotImplementedError("offsets are given for texts alone, not for pairs or words")
        # transformers takes it from here, text by text; ids need no further encoding.
        if single and text:
            text = self._ids_of([text], tokens)[0]
        if isinstance(text_pair, str):
            text_pair = self._ids_of([text_pair], tokens)[0] or None
        encoded: BatchEncoding = super()._encode_plus(
            text, text_pair, add_special_tokens=add_special_tokens, **options
        )
        return encoded

    def _ids_of(self, texts: list[str], tokens: re.Pattern[str] | None) -> list[list[int]]:
        """Return the ids of each text, in which ``tokens`` stand for themselves."""
        texts = [_encodable(text) for text in texts]
        if tokens is None or not any(map(tokens.search, texts)):
            threads = -1 if sum(map(len, texts)) > _MANY_CHARS else 1
            return list(self._sp.encode(texts, num_threads=threads))
        return [[i for part in self._parts(text, tokens) for i in part.ids] for text in texts]

    def _parts(self, text: str, tokens: re.Pattern[str] | None) -> Iterator["_Part"]:
        """Yield each stretch of text and each token."""
        at = 0
        for match in tokens.finditer(text) if tokens else ():
            if match.start() > at:
                yield _Part(self._text_ids(text[at : match.start()], at), at)
            found = match[0] if match[0] in self._added_tokens_encoder else match[0].strip()
            yield _Part([self._added_tokens_encoder[found]], match.start(), match.end())
            at = match.end()
        if at < len(text):
            yield _Part(self._text_ids(text[at:], at), at)

    def _text_ids(self, text: str, begin: int) -> list[int]:
        if self.legacy or not begin:
            return list(self._sp.encode(text))
        return list(self._sp.encode(_BARRIER + text)[2:])  # without "▁" and the barrier

    def _batch(
        self,
        text: str | list[str],
        rows: list[list[int]],
        tokens: re.Pattern[str] | None,
        add_special_tokens: bool,
        options: dict[str, Any],
    ) -> BatchEncoding:
        """Return what ``__call__`` does of the ids of a text, or of each of several texts."""
        single = isinstance(text, str)
        begin, end = self._around if add_special_tokens else ([], [])
        cut = self._cut(options, len(begin) + len(end))
        ids = [begin + row[cut] + end for row in rows]
        data: dict[str, Any] = {"input_ids": ids}
        if options.get("return_token_type_ids"):
            data["token_type_ids"] = [[0] * len(row) for row in ids]
        if options.get("return_special_tokens_mask"):
            special = set(self.all_special_ids)
            data["special_tokens_mask"] = [[int(i in special) for i in row] for row in ids]
        offsets = []
        if options.get("return_offsets_mapping"):
            texts = [text] if isinstance(text, str) else text
            first, last = [_NOWHERE] * len(begin), [_NOWHERE] * len(end)
            within = (self._offsets(_encodable(text), tokens)[cut] for text in texts)
            offsets = [first + places + last for places in within]
        data = self._padded(data, offsets, options)
        if options.get("return_length"):
            data["length"] = [len(row) for row in data["input_ids"]]
        if single:
            data = {name: values[0] for name, values in data.items()}
        tensors = options.get("return_tensors")
        return BatchEncoding(data, tensor_type=tensors, prepend_batch_axis=single)

    def _cut(self, options: dict[str, Any], added: int) -> slice:
        """Return the part of a text's ids that truncation leaves, ``added`` tokens not counted."""
        limit, strategy = options.get("max_length"), options.get("truncation_strategy")
        if limit is None or strategy is None or strategy.value == "do_not_truncate":
            return slice(None)
        kept = max(limit - added, 0)
        if self.truncation_side == "right":
            return slice(kept)
        return slice(-kept, None) if kept else slice(0)

    def _padded(
        self, data: dict[str, Any], offsets: list[Any], options: dict[str, Any]
    ) -> dict[str, Any]:
        masked = options.get("return_attention_mask")
        masked = "attention_mask" in self.model_input_names if masked is None else masked
        strategy = options.get("padding_strategy")
        if strategy is None or strategy.value == "do_not_pad":
            if masked:
                data["attention_mask"] = [[1] * len(row) for row in data["input_ids"]]
        else:
            names = ("max_length", "pad_to_multiple_of", "padding_side")
            more: dict[str, Any] = {name: options.get(name) for name in names}
            data = {**self.pad(data, padding=strategy, return_attention_mask=masked, **more)}
        if offsets:
            left = (options.get("padding_side") or self.padding_side) == "left"
            rows = zip(offsets, data["input_ids"], strict=True)
            data["offset_mapping"] = [_pad(row, len(ids), left=left) for row, ids in rows]
        return data

    def _offsets(self, text: str, tokens: re.Pattern[str] | None) -> list[tuple[int, int]]:
        """Return where in ``text`` each of its ids begins and ends, in characters.

        The space that SentencePiece puts before a text is nowhere in it; each byte of a character
        that has no piece is all of that character.
        """
        offsets = []
        for ids, begin, end in self._parts(text, tokens):
            if end is not None:
                offsets.append((begin, end))
                continue
            at, left = begin - int(self.legacy or not begin), 0
            for token_id in ids:
                if token_id in self._bytes:
                    left = left or len(text[at].encode())
                    offsets.append((at, at + 1))
                    left -= 1
                    at += not left
                else:
                    size = len(self._pieces[token_id])
                    offsets.append((max(at, begin), at + size))
                    at += size
        return offsets

    # Decoding

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return the text that pieces stand for."""
        return self._decode(self.convert_tokens_to_ids(tokens))

    def _decode(
        self,
        token_ids: int | list[int],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,  # noqa: ARG002 - declared by transformers
        **_: Any,
    ) -> str:
        """Return the text; nothing is ever "cleaned up" in it."""
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        if skip_special_tokens:
            special = set(self.all_special_ids)
            ids = self._complete_characters([i for i in ids if i not in special])
        if self._added_tokens_decoder.keys().isdisjoint(ids):
            return self._text_of(ids, first=True)
        text, run = "", list[int]()
        for token_id in ids:
            if token_id in self._added_tokens_decoder:
                text += self._text_of(run, first=not text)
                text += self._added_tokens_decoder[token_id].content
                run = []
            else:
                run.append(token_id)
        return text + self._text_of(run, first=not text)

    def _text_of(self, ids: list[int], *, first: bool) -> str:
        if max(ids, default=0) >= len(self._pieces):
            # A model's vocabulary may be padded beyond the pieces; such ids have no text.
            ids = [token_id for token_id in ids if token_id < len(self._pieces)]
        if not ids:
            return ""
        if self.legacy or first:
            return str(self._sp.decode(ids))
        return str(self._sp.decode([*self._sp.encode(_BARRIER), *ids]))[1:]

    def _complete_characters(self, ids: list[int]) -> list[int]:
        """Leave out the first bytes of a character whose last ones are still missing."""
        tail: list[int] = []
        for token_id in reversed(ids[-4:]):
            if token_id not in self._bytes:
                break
            tail.insert(0, self._bytes[token_id])
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        decoder.decode(bytes(tail))
        return ids[: len(ids) - len(decoder.getstate()[0])]


def _pattern(tokens: list[AddedToken]) -> re.Pattern[str] | None:
    """Return what finds any of the tokens, the longest first."""
    parts = [
        r"\s*" * token.lstrip + re.escape(token.content) + r"\s*" * token.rstrip
        for token in sorted(tokens, key=lambda token: -len(token.content))
    ]
    return re.compile("|".join(parts)) if parts else None


def _encodable(text: str) -> str:
    """Return the text with surrogates joined to characters; U+FFFD for one without its other."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _pad(row: list[Any], length: int, *, left: bool) -> list[Any]:
    padding = [_NOWHERE] * (length - len(row))
    return padding + row if left else row + padding
