"""Calibrations fitted to what told right answers from others."""

import numpy as np
import pytest

from rag_app.chains.confidence import Calibration, Signals
from rag_app.errors import DocumentError
from rag_app.evaluation.calibration import Sample, about, calibration_figures, chance, fit

KNOWN = Calibration(-2.0, 0.3, 1.2, -3.0, -1.5)


def drawn(count: int, seed: int = 0, *, judged: bool = True) -> list[Sample]:
    """Samples whose answers are there as often as `KNOWN` says."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        signals = Signals(
            relevance=float(rng.uniform(0.3, 1)),
            judgement=float(rng.normal(1.7, 1.5)),
            unmatched=("2019",) if rng.random() < 0.2 else (),
            supported=bool(rng.random() < 0.7),
        )
        holds = bool(rng.random() < KNOWN.probability(signals))
        if not judged:
            signals = Signals(signals.relevance, None, signals.unmatched, signals.supported)
        samples.append(Sample(signals, holds))
    return samples


def test_known_weights_are_found() -> None:
    found = fit(drawn(4000))
    for name in ("relevance", "judgement", "unmatched", "unsupported"):
        assert getattr(found, name) == pytest.approx(getattr(KNOWN, name), abs=0.3)


def test_what_words_make_unlikely_is_weighed_by_itself() -> None:
    other_words = Calibration(-2.0, 0.0, 1.2, -3.0, -1.5, unlikely=0.5)
    far, near = (Signals(relevance=relevance, judgement=1.5) for relevance in (0.3, 0.9))
    assert other_words.log_odds(far) == pytest.approx(other_words.log_odds(near) + 0.5)


def test_few_answerable_questions_are_refused() -> None:
    samples = drawn(400)
    found = fit(samples)
    refused = [chance(found, sample) < 0.5 for sample in samples if sample.holds]
    assert np.mean(refused) <= 0.05
    others = [chance(found, sample) < 0.5 for sample in samples if not sample.holds]
    assert np.mean(others) > np.mean(refused)


def test_without_judgements() -> None:
    found = fit(drawn(400, judged=False))
    assert not found.judged
    near_miss = Signals(relevance=0.9, unmatched=("2019",))
    assert found.probability(near_miss) < found.probability(Signals(relevance=0.9))


def test_what_tells_the_wrong_way_is_left_out() -> None:
    samples = [
        Sample(Signals(one.signals.relevance, one.signals.judgement, (), not one.holds), one.holds)
        for one in drawn(300)
    ]
    assert fit(samples).unsupported == 0


def test_figures_are_of_questions_not_fitted_to() -> None:
    samples = drawn(200)
    found = about(samples)
    assert found["questions"] == 200
    area = found["figures"]["area under the curve"]
    fitted = calibration_figures([chance(fit(samples), one) for one in samples], samples)
    assert area["interval"][0] < area["value"] <= fitted["area under the curve"].value + 0.01


def test_too_few_that_are_answered() -> None:
    refused = [Sample(Signals(relevance=0.1), holds=False, refused=True)] * 30
    with pytest.raises(DocumentError, match="10 of each"):
        fit([*refused, *(sample for sample in drawn(60) if sample.holds)])
