"""The embedding model that a fresh machine really gets."""

from pathlib import Path

import numpy as np
import pytest

from model_prep.catalog.models import CATALOG


@pytest.mark.model
def test_the_converted_model_knows_what_is_alike(real_models: Path) -> None:
    from sentence_transformers import SentenceTransformer

    entry = CATALOG["multilingual-e5-small"]
    model = SentenceTransformer(str(real_models / entry.name), local_files_only=True, device="cpu")
    texts = [
        "北京是中国的首都。",
        "Beijing is the capital of China.",
        "中国的首都在北京。",
        "这台洗衣机保修三年。",
        "The washing machine has a warranty of three years.",
        "北京是中国的首都。" * 200,
    ]
    vectors = model.encode([entry.passage_prefix + text for text in texts], show_progress_bar=False)
    alike = vectors @ vectors.T
    assert vectors.shape == (6, 384)
    np.testing.assert_allclose(alike.diagonal(), 1, atol=1e-5)
    # Among texts of one language the one of the same meaning is far ahead; e5 puts texts of one
    # language nearer together than their meanings alone would.
    for text, same, other in ((0, 2, 3), (0, 1, 4), (3, 4, 1), (1, 0, 3), (4, 3, 0)):
        assert alike[text, same] > alike[text, other] + 0.03
    assert model.max_seq_length == 512

    question = model.encode(entry.query_prefix + "洗衣机坏了能免费修吗？", show_progress_bar=False)
    assert (vectors[:5] @ question).argmax() == 3
