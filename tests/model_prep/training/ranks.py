"""Processes that train together as torchrun's do, forked from one that has imported PyTorch."""

import os
import socket
import sys
from multiprocessing import get_context
from pathlib import Path

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "model_prep.__main__",
        "model_prep.training.run",
        "peft",
        "torch.distributed.fsdp",
        "transformers.models.llama.modeling_llama",
        "transformers.trainer",
    ]
)


def run_ranks(arguments: list[str], said: Path, count: int = 2) -> None:
    """Run ``model-prep`` in ``count`` processes; they must succeed. ``said`` gets their stderr."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
    world = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    common = {**os.environ, **world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    places = [{**common, "RANK": str(n), "LOCAL_RANK": str(n)} for n in range(count)]
    ranks = [_CONTEXT.Process(target=_run, args=(arguments, place, said)) for place in places]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(300)
        rank.kill()
    assert [rank.exitcode for rank in ranks] == [0] * count, said.read_text(encoding="utf-8")[
        -3000:
    ]


def _run(arguments: list[str], environment: dict[str, str], said: Path) -> None:
    from model_prep.__main__ import main

    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    sys.argv = ["model-prep", *arguments]
    main()
