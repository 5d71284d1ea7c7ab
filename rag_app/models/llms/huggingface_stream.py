"""One answer of a ``text-generation`` pipeline, generated in a thread and read as it comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rag_app.errors import ModelError
from rag_app.models.llms.huggingface_batch import StopStrings

if TYPE_CHECKING:
    import torch

_WAIT_SECONDS = 3600.0
"""Longest wait for a token; a slow CPU reads a long prompt for minutes."""


def failed(error: BaseException) -> ModelError:
    """Return what went wrong in a generation, as one line."""
    return ModelError(f"generation failed ({error}); a smaller model or shorter input may do")


@contextmanager
def generating(pipe: Any, prompt: str, options: dict[str, Any]) -> Iterator[Iterator[str]]:
    """Give the text as it is generated; leaving the block cancels what is not done."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    from model_prep.inference.streaming import TextStream

    cancelled = threading.Event()
    failures: list[BaseException] = []

    class Cancelled(StoppingCriteria):
        def __call__(self, input_ids: "torch.Tensor", *_: Any, **__: Any) -> "torch.Tensor":
            import torch

            state = [cancelled.is_set()] * len(input_ids)
            return torch.tensor(state, device=input_ids.device)

    streamer = TextStream(
        pipe.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=_WAIT_SECONDS
    )

    def run() -> None:
        try:
            criteria = StoppingCriteriaList([Cancelled()])
            pipe(prompt, streamer=streamer, stopping_criteria=criteria, **options)
        except BaseException as error:  # raised where the text is read
            failures.append(error)
            streamer.end()

    def parts() -> Iterator[str]:
        yield from streamer
        if failures:
            raise failed(failures[0]) from failures[0]

    worker = threading.Thread(target=run, name="generate")
    worker.start()
    try:
        yield parts()
    finally:
        cancelled.set()
        worker.join()


def until(parts: Iterator[str], stop: list[str]) -> Iterator[str]:
    """Yield text up to the first stop string."""
    stops = StopStrings(stop)
    for part in parts:
        if shown := stops.feed(part):
            yield shown
        if stops.found:
            return
    if rest := stops.close():
        yield rest
