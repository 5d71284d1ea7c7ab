"""``python -m model_prep`` and ``torchrun -m model_prep``: the command line."""

from model_prep.cli import main

main()
