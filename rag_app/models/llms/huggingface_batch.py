"""Batched generation with a Hugging Face model: several requests, a token of each at a time."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from model_prep.inference.streaming import TextCallback
from model_prep.inference.transformers_model import end_tokens, pad_token
from model_prep.process_state import seeded
from rag_app.models.llms.local import unwanted
from rag_app.models.llms.stop_strings import StopStrings
from rag_app.models.llms.tools import END


@dataclass(eq=False)
class Request:
    """One prompt, and how its answer is handed over.

    Attributes:
        ids: Tokens of the prompt.
        options: The options of ``generate``; requests with the same ones are generated together.
        limit: Most tokens to generate.
        stop: Strings before which the text ends.
        put: Takes each piece of text, then `END`, or an exception.
        cancelled: Set when nobody waits for the answer any more.
        generated: Tokens of the answer.
        finish_reason: Known when the answer has ended.
    """

    ids: list[int]
    options: dict[str, Any]
    limit: int
    stop: Sequence[str]
    put: Callable[[Any], None]
    cancelled: threading.Event
    generated: int = 0
    finish_reason: str = "stop"


class _Row:
    """One request while it is generated."""

    def __init__(self, request: Request, tokenizer: Any, ends: list[int]) -> None:
        self._request = request
        self._ends = ends
        self._stop = StopStrings(request.stop)
        self._text = TextCallback(tokenizer, self._show)
        self.done = False
        self._closed = False

    def take(self, token: int) -> None:
        """Take the next token."""
        request = self._request
        if self.done:
            return
        if unwanted(request.cancelled) or token in self._ends:
            self.done = True
            return
        request.generated += 1
        self._text.put(torch.tensor([token]))
        if self._stop.found:
            self.done = True
        elif request.generated >= request.limit:
            request.finish_reason = "length"
            self.done = True

    def close(self, error: BaseException | None = None) -> None:
        """End the answer; an error matters where it has not ended yet."""
        if self._closed:
            return
        self._closed = True
        if error and not self.done:
            self._request.put(error)
            return
        self._text.end()
        if rest := self._stop.close():
            self._request.put(rest)
        self._request.put(END)

    def _show(self, text: str) -> None:
        if not self._stop.found and (shown := self._stop.feed(text)):
            self._request.put(shown)


class _Follow(StoppingCriteria):
    """Hands the newest token of each row over, and says which rows have ended."""

    def __init__(self, rows: list[_Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            row.take(token)
        done = [row.done for row in self._rows]
        if not all(done):  # else the batch is over, and its rows are closed after it
            for row in self._rows:
                if row.done:
                    row.close()
        return torch.tensor(done, device=input_ids.device)


class Batcher:
    """Generates what waits, as many requests together as allowed.

    A batch holds requests that were waiting when it began and that ask for the same sampling;
    the others wait for its end.
    """

    def __init__(self, model: Any, tokenizer: Any, limit: int) -> None:
        self._model, self._tokenizer, self._limit = model, tokenizer, limit
        self._ends = end_tokens(model, tokenizer)
        self._waiting: list[Request] = []
        self._queue_lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def submit(self, request: Request) -> None:
        """Generate the reply to a request."""
        with self._queue_lock:
            self._waiting.append(request)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="generate")
                self._worker.start()

    def _next_batch(self) -> list[Request]:
        """Return the oldest request and those that can go with it; empty ends the worker."""
        with self._queue_lock:
            waiting = [request for request in self._waiting if not unwanted(request.cancelled)]
            if not waiting:
                self._waiting, self._worker = [], None
                return []
            options = waiting[0].options
            # What a seed gives must not depend on what else happens to be asked.
            limit = 1 if "seed" in options else self._limit
            batch = [request for request in waiting if request.options == options][:limit]
            self._waiting = [request for request in waiting if request not in batch]
            return batch

    def _work(self) -> None:
        while batch := self._next_batch():
            rows = [_Row(request, self._tokenizer, self._ends) for request in batch]
            error = None
            try:
                self._generate(batch, rows)
            except BaseException as raised:  # raised again where the text is read
                error = raised
            for row in rows:
                row.close(error)

    def _generate(self, requests: list[Request], rows: list[_Row]) -> None:
        width = max(len(request.ids) for request in requests)
        pad = pad_token(self._tokenizer, self._ends)
        # Padded on the left, since generation goes on at the right.
        ids = torch.tensor(
            [[pad] * (width - len(request.ids)) + request.ids for request in requests]
        )
        mask = torch.tensor(
            [[0] * (width - len(request.ids)) + [1] * len(request.ids) for request in requests]
        )

        options = dict(requests[0].options)
        penalties = Penalties(
            width,
            presence=options.pop("presence_penalty", 0.0),
            frequency=options.pop("frequency_penalty", 0.0),
        )
        with seeded(options.pop("seed", None)), torch.inference_mode():
            self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=max(request.limit for request in requests),
                stopping_criteria=StoppingCriteriaList([_Follow(rows)]),
                logits_processor=LogitsProcessorList([penalties]),
                pad_token_id=pad,
                eos_token_id=self._ends or None,
                **options,
            )


class Penalties(LogitsProcessor):
    """OpenAI's penalties of what was generated before.

    A token's logit is lowered by the presence penalty if it was generated, and by the frequency
    penalty each time it was (OpenAI API reference, "Parameter details").

    Example:
        >>> import torch
        >>> prompt_and_answer = torch.tensor([[4, 1, 1, 2]])
        >>> Penalties(1, presence=0.5, frequency=0.25)(prompt_and_answer, torch.zeros(1, 5))
        tensor([[ 0.0000, -1.0000, -0.7500,  0.0000,  0.0000]])
    """

    def __init__(self, prompt: int, *, presence: float = 0.0, frequency: float = 0.0) -> None:
        self._prompt, self._presence, self._frequency = prompt, presence, frequency

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits, float ``[rows, vocabulary]``, less the penalties."""
        generated = input_ids[:, self._prompt :]
        counts = torch.zeros_like(scores)
        counts.scatter_add_(1, generated, torch.ones_like(generated, dtype=scores.dtype))
        return scores - self._frequency * counts - self._presence * (counts > 0)
