"""``python -m model_prep`` and ``torchrun -m model_prep``: the command line."""

import os
import sys

from model_prep.cli import main

try:
    main()
except SystemExit as stop:
    code = stop.code or 0
    if isinstance(code, int) and "RANK" in os.environ:
        # Gloo's threads may still be letting go of the last message. Where the interpreter ends
        # meanwhile, PyTorch aborts the process, and torchrun takes the run for a failed one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise
