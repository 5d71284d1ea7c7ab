import os
import subprocess
import sys

import pytest

PROGRAMS = ("--help", "--version", "models --json")


@pytest.mark.parametrize("arguments", PROGRAMS)
def test_a_reader_that_went_away_is_no_failure(arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert run(arguments, writer) == (0, "")


@pytest.mark.parametrize("arguments", PROGRAMS)
def test_output_on_a_full_disk_is_said_in_a_line(arguments: str) -> None:
    code, said = run(arguments, os.open("/dev/full", os.O_WRONLY))
    assert code == 1
    assert said.count("\n") == 1
    assert "No space left" in said


def run(arguments: str, output: int) -> tuple[int, str]:
    command = [sys.executable, "-m", "model_prep", *arguments.split()]
    with os.fdopen(output, "wb") as stdout:
        done = subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    return done.returncode, done.stderr
