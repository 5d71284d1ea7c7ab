"""Ending a run when a signal asks for it, and not in the middle of a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback


class StopsWhenAsked(TrainerCallback):
    """Ends the run with a checkpoint after the step in which a signal came.

    Processes agree on the step: one that went on alone would wait for the others for ever.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Look whether any process was asked."""
        asked = self.asked
        if args.world_size > 1:
            flag = torch.tensor(int(asked), device=args.device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            asked = bool(flag.item())
        if asked and state.global_step < state.max_steps:
            self.asked = control.should_save = control.should_training_stop = True
        else:
            self.asked = False
        return control


@contextmanager
def signals(stops: StopsWhenAsked) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a wish; the second acts as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def ask(*_: Any) -> None:
        stops.asked = True
        for one, handler in before.items():
            signal.signal(one, handler)

    for one in before:
        signal.signal(one, ask)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
