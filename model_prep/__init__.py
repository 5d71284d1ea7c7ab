"""Make, fetch and check the models that rag_app uses.

Each command of ``model-prep`` is a function here, of the same name with underscores. Two of those
names are taken by rooms of the package, so the functions name their object too: `crawl_items` and
`verify_model`. All are loaded when first used, so that importing the package costs nothing.
"""

import os
from typing import TYPE_CHECKING, Any

from model_prep.moved import keep_earlier_names
from model_prep.process_state import spare_loopback

if TYPE_CHECKING:
    from model_prep.catalog.distill import distill
    from model_prep.catalog.entry import ModelEntry
    from model_prep.catalog.hub_results import pull_repository, push_to_hub
    from model_prep.catalog.models import CATALOG, DEFAULTS, find
    from model_prep.catalog.pull import is_pulled, model_path, models_folder, pull
    from model_prep.crawl.crawl import crawl as crawl_items
    from model_prep.crawl.settings import CrawlOptions
    from model_prep.errors import ModelPrepError
    from model_prep.gguf.exporter import export_gguf
    from model_prep.gguf.importer import import_gguf
    from model_prep.inference.generate import generate, load_model
    from model_prep.inference.sampling import Sampling
    from model_prep.llama.convert import convert
    from model_prep.lora.merge import merge
    from model_prep.tokenizer.merge import merge_tokenizer
    from model_prep.training.run import prefer, pretrain, sft
    from model_prep.verify.verify import verify as verify_model

__all__ = [
    "CATALOG",
    "DEFAULTS",
    "CrawlOptions",
    "ModelEntry",
    "ModelPrepError",
    "Sampling",
    "convert",
    "crawl_items",
    "distill",
    "export_gguf",
    "find",
    "generate",
    "import_gguf",
    "is_pulled",
    "load_model",
    "merge",
    "merge_tokenizer",
    "model_path",
    "models_folder",
    "prefer",
    "pretrain",
    "pull",
    "pull_repository",
    "push_to_hub",
    "sft",
    "verify_model",
]

_HOMES = {
    "catalog.distill": ("distill",),
    "catalog.entry": ("ModelEntry",),
    "catalog.hub_results": ("pull_repository", "push_to_hub"),
    "catalog.models": ("CATALOG", "DEFAULTS", "find"),
    "catalog.pull": ("is_pulled", "model_path", "models_folder", "pull"),
    "crawl.crawl": ("crawl_items",),
    "crawl.settings": ("CrawlOptions",),
    "errors": ("ModelPrepError",),
    "gguf.exporter": ("export_gguf",),
    "gguf.importer": ("import_gguf",),
    "inference.generate": ("generate", "load_model"),
    "inference.sampling": ("Sampling",),
    "llama.convert": ("convert",),
    "lora.merge": ("merge",),
    "tokenizer.merge": ("merge_tokenizer",),
    "training.run": ("prefer", "pretrain", "sft"),
    "verify.verify": ("verify_model",),
}
_NAMES_AT_HOME = {"crawl_items": "crawl", "verify_model": "verify"}


keep_earlier_names()
spare_loopback()
# ONNX Runtime tells its maker of each model it loads, unless it finds this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            module = import_module(f"{__name__}.{home}")
            return getattr(module, _NAMES_AT_HOME.get(name, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
