"""Preference pairs as tokens: two samples each, the chosen answer's and the rejected one's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_prep.errors import first_line
from model_prep.training.dataset_files import Problems
from model_prep.training.encoding import IGNORED, Sample, encode, parts_of, sample_of
from model_prep.training.preference.pairs import Messages, read_pairs


def encode_pairs(
    files: list[Path], encoding: str | None, tokenizer: Any, max_length: int, problems: Problems
) -> Iterator[Sample]:
    """Yield two samples for each pair: its prompt with the chosen, and with the rejected answer.

    Only the answers have labels, with the end token after them; earlier answers of the assistant
    belong to the prompt.

    Args:
        files: JSON and JSON Lines.
        encoding: The encoding of the files, where it is not one of the usual ones.
        tokenizer: Its chat template is used, or Alpaca's where it has none.
        max_length: Tokens of a sample; what is beyond is cut off.
        problems: Pairs that the template refuses or that have no room are noted here.
    """
    from jinja2 import TemplateError

    for pair in read_pairs(files, encoding, problems):
        try:
            samples = [
                _sample(pair.prompt, answer, tokenizer, max_length)
                for answer in (pair.chosen, pair.rejected)
            ]
        except (TemplateError, TypeError, ValueError) as error:
            kind = "is refused by the model's chat template"
            problems.add(pair.file, pair.line, kind, first_line(error))
            continue
        chosen, rejected = samples
        if chosen.ids != rejected.ids and all(map(_has_labels, samples)):
            yield from samples
        else:
            kind, detail = "leaves no room for its answers", f"in {max_length} tokens"
            problems.add(pair.file, pair.line, kind, detail)


def _sample(prompt: Messages, answer: str, tokenizer: Any, max_length: int) -> Sample:
    parts = parts_of([*prompt, {"role": "assistant", "content": answer}], tokenizer)[-1]
    encoded = encode(tokenizer, [text for text, _ in parts])
    last = len(parts) - 1
    return sample_of([(ids, number == last) for number, ids in enumerate(encoded)], max_length)


def _has_labels(sample: Sample) -> bool:
    return any(label != IGNORED for label in sample.labels)
