"""What the term index of a store really holds."""

import sqlite3
from contextlib import closing

from rag_app.index.store.store import IndexStore
from rag_app.index.store.terms import document_terms


def assert_terms_exact(store: IndexStore) -> None:
    """Compare every stored term and its place with those that the texts have."""
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE temp.instances USING fts5vocab(main, terms, 'instance')"
        )
        rows = connection.execute("SELECT doc, offset, term FROM instances").fetchall()
        texts = connection.execute("SELECT id, text FROM chunks").fetchall()
        sizes = connection.execute("SELECT count(*) FROM terms_docsize").fetchone()[0]
        connection.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")
    wanted = {
        (number, place, term)
        for number, text in texts
        for place, term in enumerate(document_terms(text).split())
    }
    assert set(rows) == wanted
    assert len(rows) == len(wanted)
    assert sizes == len(texts)
