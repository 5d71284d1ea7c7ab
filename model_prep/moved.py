"""Imports of modules by the names that they had before the rooms were made."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "model_prep.adapters": "model_prep.lora.adapter",
    "model_prep.attach_loras": "model_prep.lora.attach",
    "model_prep.checksums": "model_prep.checkpoint.checksums",
    "model_prep.crawl.options": "model_prep.crawl.settings",
    "model_prep.exact_llama": "model_prep.tokenizer.exact_llama",
    "model_prep.sampling": "model_prep.inference.sampling",
    "model_prep.tokenization": "model_prep.tokenizer.loading",
    "model_prep.tokenizer_merge": "model_prep.tokenizer.merge",
    "model_prep.training.records": "model_prep.training.conversations",
    "model_prep.training.rows": "model_prep.training.packing",
}
"""Where each is now. A name that a function of the package has today is no longer a module's."""


class MovedModules(MetaPathFinder, Loader):
    """Finds the modules of `MOVED`, once nothing else has.

    Example:
        >>> from model_prep.tokenization import load_tokenizer
        >>> load_tokenizer.__module__
        'model_prep.tokenizer.loading'
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of an earlier name is loaded from."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today's name in the place of the one that is imported."""
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def keep_earlier_names() -> None:
    """Let imports by earlier names work."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
