"""The command ``model-prep``, also as ``python -m model_prep`` and ``torchrun -m model_prep``."""

import os
import sys


def main() -> None:
    """Run the command line; on a busy machine Ctrl-C may come while it is being imported."""
    try:
        from model_prep.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("model-prep: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
        if isinstance(code, int) and "RANK" in os.environ:
            # Gloo's threads may still be letting go of the last message. Where the interpreter
            # ends meanwhile, PyTorch aborts the process, and torchrun takes the run for a failed
            # one.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        raise
