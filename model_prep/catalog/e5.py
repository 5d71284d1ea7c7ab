"""Conversion of multilingual-e5-small from its Q4_0 file to a sentence-transformers folder."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from model_prep.catalog.e5_file import E5Config, E5File, UnigramVocabulary
from model_prep.catalog.sentence_transformers_files import write_sentence_files
from model_prep.checkpoint.safetensors_file import write_safetensors
from model_prep.checkpoint.tensors import TensorData
from model_prep.json_file import write_json

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def convert_e5(file: Path, folder: Path) -> None:
    """Write ``folder``, which sentence-transformers loads, from the Q4_0 file.

    Weights become float32, unpacked a few megabytes at a time.

    Raises:
        ChecksumError: the file has another format, or is truncated or damaged.
    """
    source = E5File(file)
    folder.mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", list(_tensors(source)))
    _write_tokenizer(source.vocabulary, folder / "tokenizer.json")
    _write_configuration(source, folder)
    config = source.config
    write_sentence_files(
        folder, hidden=config.hidden_size, max_tokens=config.max_position_embeddings
    )


def _tensors(source: E5File) -> Iterator[TensorData]:
    for name, stored, shape in _names(source.config):
        yield TensorData(name, "F32", shape, source.weights(stored, shape))
    # The pooler is not part of e5; without its weights transformers warns and makes random ones.
    hidden = source.config.hidden_size
    yield TensorData("pooler.dense.weight", "F32", (hidden, hidden), [bytes(4 * hidden**2)])
    yield TensorData("pooler.dense.bias", "F32", (hidden,), [bytes(4 * hidden)])


def _names(config: E5Config) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield each tensor's name in a BertModel, its name in the file, and its shape."""
    hidden, inner, positions = (
        config.hidden_size,
        config.intermediate_size,
        config.max_position_embeddings,
    )
    yield "embeddings.word_embeddings.weight", "emb.word", (config.vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", "emb.pos", (positions, hidden)
    yield "embeddings.token_type_embeddings.weight", "emb.type", (config.type_vocab_size, hidden)
    yield "embeddings.LayerNorm.weight", "emb.ln.w", (hidden,)
    yield "embeddings.LayerNorm.bias", "emb.ln.b", (hidden,)
    parts: dict[str, tuple[str, tuple[int, ...]]] = {
        "q": ("attention.self.query", (hidden, hidden)),
        "k": ("attention.self.key", (hidden, hidden)),
        "v": ("attention.self.value", (hidden, hidden)),
        "ao": ("attention.output.dense", (hidden, hidden)),
        "aln": ("attention.output.LayerNorm", (hidden,)),
        "fi": ("intermediate.dense", (inner, hidden)),
        "fo": ("output.dense", (hidden, inner)),
        "oln": ("output.LayerNorm", (hidden,)),
    }
    for layer in range(config.num_hidden_layers):
        for stored, (name, shape) in parts.items():
            yield f"encoder.layer.{layer}.{name}.weight", f"l{layer}.{stored}.w", shape
            yield f"encoder.layer.{layer}.{name}.bias", f"l{layer}.{stored}.b", shape[:1]


def _write_tokenizer(vocabulary: UnigramVocabulary, target: Path) -> None:
    """Write XLM-RoBERTa's tokenizer: SentencePiece unigram between ``<s>`` and ``</s>``.

    SentencePiece's own normalization is nmt_nfkc: `Nmt` takes control and zero-width characters
    away, NFKC folds full-width forms, and splitting at spaces drops those that are too many.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    # The shortest digits that are the same float32 make the file a third smaller.
    scored = [
        (piece, float(str(score)))
        for piece, score in zip(vocabulary.pieces, vocabulary.scores, strict=True)
    ]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=vocabulary.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    known = set(vocabulary.pieces)
    tokenizer.add_special_tokens([piece for piece in _SPECIAL if piece in known])
    begin, end = vocabulary.pieces[vocabulary.bos], vocabulary.pieces[vocabulary.eos]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.bos), (end, vocabulary.eos)],
    )
    tokenizer.save(str(target), pretty=False)


def _write_configuration(source: E5File, folder: Path) -> None:
    vocabulary = source.vocabulary
    begin, end, pad, unknown = (
        vocabulary.pieces[id_]
        for id_ in (vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.unk)
    )
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "cls_token": begin,
        "eos_token": end,
        "sep_token": end,
        "pad_token": pad,
        "unk_token": unknown,
        "model_max_length": source.config.max_position_embeddings,
    }
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        **asdict(source.config),
        "layer_norm_eps": source.layer_norm_eps,
        "hidden_act": "gelu",
        "bos_token_id": vocabulary.bos,
        "eos_token_id": vocabulary.eos,
        "pad_token_id": vocabulary.pad,
        "dtype": "float32",
    }
    write_json(folder / "tokenizer_config.json", tokenizer)
    write_json(folder / "config.json", config)
