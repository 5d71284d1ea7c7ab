"""Several requests to a Hugging Face model generated together, a token of each at a time."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from model_prep.inference.streaming import TextStream
from rag_app.models.llms.async_queue import END

if TYPE_CHECKING:
    import torch


@dataclass
class Request:
    """One prompt, and how its answer is told.

    Attributes:
        ids: Tokens of the prompt.
        options: Of ``generate``; requests with the same ones are generated together.
        limit: Most tokens to generate.
        stop: Strings before which the text ends.
        put: Told each piece of text, then `END`, or an exception.
    """

    ids: list[int]
    options: dict[str, Any]
    limit: int
    stop: Sequence[str]
    put: Callable[[Any], None]
    cancelled: threading.Event = field(default_factory=threading.Event)
    generated: int = 0
    finish_reason: str = "stop"


class StopStrings:
    """Passes text on up to the first stop string; what may be the beginning of one is held back."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        self._held += text
        # The one that was whole first, as if the text came a character at a time.
        found = [(at + len(one), at) for one in self._stop if (at := self._held.find(one)) >= 0]
        if found:
            self.found = True
            return self._held[: min(found)[1]]
        keep = max((_overlap(self._held, one) for one in self._stop), default=0)
        shown = self._held[: len(self._held) - keep]
        self._held = self._held[len(shown) :]
        return shown

    def close(self) -> str:
        """Return what was held back."""
        return "" if self.found else self._held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` begins with."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)


class _Text(TextStream):
    """Hands text to a function instead of an iterator."""

    def __init__(self, tokenizer: Any, show: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_special_tokens=True)
        self._show_text = show

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002 - the signature is transformers'
        if text:
            self._show_text(text)


class _Row:
    """One request while it is generated."""

    def __init__(self, request: Request, tokenizer: Any, ends: set[int]) -> None:
        self.request = request
        self._ends = ends
        self._stop = StopStrings(request.stop)
        self._text = _Text(tokenizer, self._show)
        self.done = False

    def take(self, token: "torch.Tensor") -> None:
        """Take the next token, int64 ``[]``."""
        request = self.request
        if self.done:
            return
        if request.cancelled.is_set() or int(token) in self._ends:
            self._end()
            return
        request.generated += 1
        self._text.put(token.reshape(1))
        if self._stop.found:
            self._end()
        elif request.generated >= request.limit:
            request.finish_reason = "length"
            self._end()

    def close(self) -> None:
        """End the answer, if it hasn't ended."""
        if not self.done:
            self._end()

    def _show(self, text: str) -> None:
        if not self._stop.found and (shown := self._stop.feed(text)):
            self.request.put(shown)

    def _end(self) -> None:
        self.done = True
        self._text.end()
        if rest := self._stop.close():
            self.request.put(rest)
        self.request.put(END)


class Batcher:
    """Generates what waits, as many requests together as allowed.

    A batch holds requests that were waiting when it began and that ask for the same sampling;
    the others wait for its end.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer.
        limit: Most requests in a batch.
        turn: Held while the model is at work.
    """

    def __init__(self, model: Any, tokenizer: Any, limit: int, turn: threading.Lock) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._limit, self._turn = limit, turn
        self._waiting: deque[Request] = deque()
        self._arrived = threading.Condition()
        self._worker: threading.Thread | None = None

    def submit(self, request: Request) -> None:
        """Have a request generated."""
        with self._arrived:
            self._waiting.append(request)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="generate", daemon=True)
                self._worker.start()

    def _next_batch(self) -> list[Request]:
        """Return the oldest request and those that can go with it; empty ends the worker."""
        with self._arrived:
            waiting = [one for one in self._waiting if not one.cancelled.is_set()]
            batch = [one for one in waiting if one.options == waiting[0].options][: self._limit]
            chosen = set(map(id, batch))
            self._waiting = deque(one for one in waiting if id(one) not in chosen)
            if not batch:
                self._worker = None
            return batch

    def _work(self) -> None:
        while batch := self._next_batch():
            rows = [_Row(request, self._tokenizer, self._ends()) for request in batch]
            try:
                with self._turn:
                    self._generate(rows)
            except BaseException as error:  # told to those who wait for the text
                for row in rows:
                    if not row.done:
                        row.done = True
                        row.request.put(error)
            for row in rows:
                row.close()

    def _generate(self, rows: list[_Row]) -> None:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

        requests = [row.request for row in rows]
        longest = max(len(one.ids) for one in requests)
        pad = self._tokenizer.pad_token_id
        pad = min(self._ends(), default=0) if pad is None else pad
        ids = torch.full((len(rows), longest), pad, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for number, one in enumerate(requests):  # padded on the left: generation goes on the right
            ids[number, longest - len(one.ids) :] = torch.tensor(one.ids)
            mask[number, longest - len(one.ids) :] = 1

        class Follow(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
                for row, token in zip(rows, input_ids[:, -1].tolist(), strict=True):
                    row.take(torch.tensor(token))
                done = [row.done for row in rows]
                return torch.tensor(done, device=input_ids.device)

        options = dict(requests[0].options)
        processors = penalties(options, longest)
        if (seed := options.pop("seed", None)) is not None:
            torch.manual_seed(seed)
        with torch.inference_mode():
            self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=max(one.limit for one in requests),
                stopping_criteria=StoppingCriteriaList([Follow()]),
                logits_processor=LogitsProcessorList(processors),
                pad_token_id=pad,
                **options,
            )

    def _ends(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends} - {None}


def penalties(options: dict[str, Any], prompt: int) -> list[Any]:
    """Take OpenAI's penalties out of ``options`` and return the logits processors that apply them.

    A token's logit is lowered by the presence penalty if it was generated before, and by the
    frequency penalty each time it was (OpenAI API reference, "Parameter details").
    """
    presence = options.pop("presence_penalty", 0) or 0
    frequency = options.pop("frequency_penalty", 0) or 0
    if not presence and not frequency:
        return []
    import torch
    from transformers import LogitsProcessor

    class Penalties(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            generated = input_ids[:, prompt:]
            counts = torch.zeros_like(scores)
            counts.scatter_add_(1, generated, torch.ones_like(generated, dtype=scores.dtype))
            return scores - frequency * counts - presence * (counts > 0)

    return [Penalties()]
