"""The two collections that hold indexes, and reading their rows.

``rag_app_documents`` has a row for each document and one for the state of each index.
``rag_app_passages_N`` has the passages of all indexes whose vectors have N numbers:

=========  =================  ===================================================================
field      type               is
=========  =================  ===================================================================
id         INT64, primary     the chunk id: rises with time, never given to a second passage
index      VARCHAR            name of the index: the partition key
version    INT64              which writing of its document the passage belongs to
ordinal    INT64              its position in the document
caller_id  VARCHAR            the caller's own id, empty where it gave none
text       VARCHAR            what is cited
record     JSON               source, offsets, page, headings: all else of a `ChunkRecord`
terms      VARCHAR            its distinct terms, matched to count how many passages hold one
vector     FLOAT_VECTOR       index AUTOINDEX, metric IP: the cosine, since lengths are 1
bm25       SPARSE_FLOAT       index SPARSE_INVERTED_INDEX, metric IP: weights of its terms
=========  =================  ===================================================================

Both have one shard and the consistency level Strong: what is written is read. Terms are ours
(bigrams of Han characters, see `rag_app.documents.text`), so that both kinds of stores find the
same. They don't use Milvus' BM25 function: that counts frequencies in all indexes of a collection,
and milvus-lite in each of its segments alone.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from rag_app.documents.text import is_prefix
from rag_app.errors import IndexStoreError
from rag_app.index.store.bm25 import K1, B

if TYPE_CHECKING:
    from pymilvus import MilvusClient

DOCUMENTS = "rag_app_documents"
_PASSAGES = "rag_app_passages_"
_TEXT_BYTES = 65_535  # most bytes of a VARCHAR
_PARTITIONS = 16  # into which the names of indexes are hashed
_USUAL_TERMS = 500
"""Of a passage of default size. Another average changes little which passages are candidates, and
nothing of their scores: these are computed from their texts."""
_PAGE = 1000

Entity = dict[str, Any]


def passages_name(dimension: int) -> str:
    """Return the name of the collection of passages whose vectors have so many numbers."""
    return f"{_PASSAGES}{dimension}"


def all_passages(client: "MilvusClient") -> list[str]:
    """Return the names of the collections of passages that there are."""
    return [name for name in client.list_collections() if name.startswith(_PASSAGES)]


def open_documents(client: "MilvusClient") -> None:
    """Make the collection of documents if it isn't there, and load it."""
    if not client.has_collection(DOCUMENTS):
        from pymilvus import DataType

        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("index", DataType.VARCHAR, max_length=4096, is_partition_key=True)
        schema.add_field("live", DataType.BOOL)
        schema.add_field("source", DataType.VARCHAR, max_length=_TEXT_BYTES)
        schema.add_field("content_hash", DataType.VARCHAR, max_length=128)
        schema.add_field("record", DataType.JSON)
        schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants a vector
        indexes = client.prepare_index_params()
        indexes.add_index("unused", index_type="AUTOINDEX", metric_type="IP")
        _create(client, DOCUMENTS, schema, indexes)
    client.load_collection(DOCUMENTS)


def open_passages(client: "MilvusClient", dimension: int) -> str:
    """Make the collection of passages if it isn't there, load it, and return its name."""
    name = passages_name(dimension)
    if not client.has_collection(name):
        from pymilvus import DataType

        # milvus-lite has no whitespace analyzer; its standard one gives the same for our terms.
        lite = "lite" in client.get_server_version()
        analyzer = {"tokenizer": "standard" if lite else "whitespace"}
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("index", DataType.VARCHAR, max_length=4096, is_partition_key=True)
        schema.add_field("version", DataType.INT64)
        schema.add_field("ordinal", DataType.INT64)
        schema.add_field("caller_id", DataType.VARCHAR, max_length=4096)
        schema.add_field("text", DataType.VARCHAR, max_length=_TEXT_BYTES)
        schema.add_field("record", DataType.JSON)
        schema.add_field(
            "terms", DataType.VARCHAR, max_length=_TEXT_BYTES, enable_analyzer=True,
            enable_match=True, analyzer_params=analyzer,
        )  # fmt: skip
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        schema.add_field("bm25", DataType.SPARSE_FLOAT_VECTOR)
        indexes = client.prepare_index_params()
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        indexes.add_index("bm25", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        _create(client, name, schema, indexes)
    client.load_collection(name)
    return name


def _create(client: "MilvusClient", name: str, schema: Any, indexes: Any) -> None:
    from pymilvus.exceptions import MilvusException

    with suppress(MilvusException):  # another process may make it too
        client.create_collection(
            name, schema=schema, index_params=indexes, consistency_level="Strong", num_shards=1,
            num_partitions=_PARTITIONS,
        )  # fmt: skip
        return
    if not client.has_collection(name):
        msg = f"Milvus can't make the collection {name}; check its version and your privileges"
        raise IndexStoreError(msg)


def rows_where(
    client: "MilvusClient", collection: str, expression: str, *fields: str
) -> Iterator[Entity]:
    """Yield the rows for which an expression is true, in no order."""
    pages = client.query_iterator(
        collection, filter=expression, output_fields=list(fields), batch_size=_PAGE
    )
    with closing(pages):
        while page := pages.next():
            yield from page


def literal(text: str) -> str:
    """Return a string as expressions of Milvus have it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def among(field: str, values: list[int], *, never: bool = False) -> str:
    """Return the expression that a field is one of some values, or never one."""
    return f"{field} {'not in' if never else 'in'} {values}"


def check_length(text: str, source: str) -> str:
    """Return a text that fits a field.

    Raises:
        IndexStoreError: it is too long for Milvus.
    """
    if len(text.encode()) > _TEXT_BYTES:
        raise IndexStoreError(
            f"a passage of {source} is too long for Milvus, whose limit is {_TEXT_BYTES:,} bytes; "
            "index it with a smaller --chunk-size"
        )
    return text


def match_token(term: str) -> str:
    """Return what is in the field ``terms`` for a term of a question.

    That of a single character stands for all terms that it begins. No term mixes scripts, so what
    begins with a Latin letter and goes on with such a character is not a term.
    """
    return f"x{term}" if is_prefix(term) else term


def passage_tokens(counts: Counter[str]) -> str:
    """Return what a passage of these terms has in the field ``terms``."""
    return " ".join(dict.fromkeys(_with_prefixes(counts)))


def document_weights(counts: Counter[str]) -> dict[int, float]:
    """Return the sparse vector of a passage: by term, what BM25 multiplies its rarity with."""
    length = K1 * (1 - B + B * counts.total() / _USUAL_TERMS)
    return {_place(token): n / (n + length) for token, n in _with_prefixes(counts).items()} or {
        _place(""): 1.0  # Milvus takes no empty one
    }


def query_weights(weights: dict[str, float]) -> dict[int, float]:
    """Return the sparse vector of a question from the rarity of its terms."""
    return {_place(match_token(term)): weight for term, weight in weights.items()}


def _with_prefixes(counts: Counter[str]) -> Counter[str]:
    found = Counter(counts)
    for term, count in counts.items():
        if is_prefix(term[0]):
            found[match_token(term[0])] += count
    return found


def _place(token: str) -> int:
    """Return the place of a token in sparse vectors, which have 2³² - 1."""
    digest = hashlib.blake2b(token.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % (2**32 - 1)
