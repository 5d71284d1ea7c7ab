"""Calibrations of language models that ``rag-app eval --calibrate`` fitted, in one JSON file."""

import json
import logging
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.errors import ModelError, SettingsError
from rag_app.settings import Settings

if TYPE_CHECKING:
    from rag_app.chains.confidence import Calibration

_log = logging.getLogger(__name__)


def kept_calibration(settings: Settings) -> "Calibration | None":
    """Return what was fitted for the language model of settings, None where nothing was.

    Nothing is either where the model's files have changed since.

    Raises:
        SettingsError: the file is damaged.
    """
    from rag_app.engine.identity import language_model

    path = settings.calibrations_file
    with suppress(ModelError):  # loading the model will say what is wrong
        name, stamp = language_model(settings)
        if (row := _read(path).get(name)) is not None:
            files, calibration = _entry(path, row)
            if files == stamp:
                return calibration
            _log.warning("%s has changed since it was calibrated; run eval --calibrate again", name)
    return None


def keep_calibration(
    settings: Settings, calibration: "Calibration", about: dict[str, Any]
) -> tuple[Path, str]:
    """Keep what was fitted for the language model of settings; return the file and the model's key.

    Args:
        settings: That name the model.
        calibration: What was fitted.
        about: What it was fitted on and how well it does, for people.

    Raises:
        ModelError: there is no such model here.
        SettingsError: the file is damaged or can't be written.
    """
    from filelock import FileLock

    from model_prep.json_file import replace_json
    from rag_app.engine.identity import language_model

    path = settings.calibrations_file
    name, stamp = language_model(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            rows = _read(path) if path.exists() else {}
            rows[name] = {"files": stamp, "weights": asdict(calibration), **about}
            replace_json(path, rows)
    except OSError as error:
        msg = f"{path} can't be written ({error.strerror or error}); name another file"
        raise SettingsError(msg) from error
    return path, name


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def _entry(path: Path, row: Any) -> "tuple[str, Calibration]":
    from rag_app.chains.confidence import Calibration

    try:
        weights = {name: value for name, value in row["weights"].items() if name != "judged"}
        numbers = {name: float(value) for name, value in weights.items()}
        return row["files"], Calibration(**numbers, judged=bool(row["weights"]["judged"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SettingsError:
    msg = f"{path} holds no calibrations ({error}); delete it and run rag-app eval --calibrate"
    return SettingsError(msg)
