"""What the user chooses of a merge's result."""

from typing import Literal

OutputType = Literal["huggingface", "pth"]
Dtype = Literal["float16", "bfloat16", "float32"]
SPELLED: dict[Dtype, str] = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
"""In safetensors' spelling."""
MANIFEST = "merge.json"
"""Name of what a merge notes about itself, beside its weights."""
