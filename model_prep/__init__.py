"""Make, fetch and check the models that rag_app uses.

`model_prep.catalog.pull.pull` fetches one.
"""

from model_prep.catalog.entry import ModelEntry
from model_prep.catalog.models import CATALOG, DEFAULTS, find
from model_prep.catalog.pull import is_pulled, model_path, models_folder
from model_prep.errors import ModelPrepError

__all__ = [
    "CATALOG",
    "DEFAULTS",
    "ModelEntry",
    "ModelPrepError",
    "find",
    "is_pulled",
    "model_path",
    "models_folder",
]
