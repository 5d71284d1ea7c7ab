"""Make, fetch and check the models that rag_app uses.

`model_prep.pull.pull` fetches one; it is not a name of the package, as it is a module's already.
"""

from model_prep.catalog import CATALOG, DEFAULTS, find
from model_prep.entry import ModelEntry
from model_prep.errors import ModelPrepError
from model_prep.pull import is_pulled, model_path, models_folder

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
