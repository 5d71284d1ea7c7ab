"""``model-prep export-gguf`` and ``import-gguf``: a model as one file for llama.cpp, and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from model_prep.cli import options
from model_prep.cli.terminal import progress_bar, say

if TYPE_CHECKING:
    from model_prep.gguf.exporter import GgufExport
    from model_prep.gguf.importer import GgufImport


def export_gguf(
    folder: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A merged model: a Hugging Face folder.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The GGUF file; by default MODEL-QUANTIZATION.gguf next to the folder, or here "
            "where that is in the hub's cache.",
        ),
    ] = None,
    quantize: Annotated[
        Literal["f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"],
        typer.Option(
            case_sensitive=False,  # llama.cpp's users write Q4_K_M
            help="How weights are held: 16, 8.5, 6.6, 5.7, 4.9 or 4.5 bits each.",
        ),
    ] = "f16",
    push_to_hub: options.PushToHub = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Write a model with its tokenizer as a GGUF file, so that it runs on a laptop."""
    from model_prep.gguf.exporter import export_gguf as export

    options.check_push(push_to_hub)
    with progress_bar() as progress:
        done = export(folder, output, quantize=quantize, dry_run=dry_run, progress=progress)
    if not dry_run:
        options.push(done.path, push_to_hub)
    written = "would be written" if dry_run else "written"
    _show(done, f"{done.path} {written}", done.quantize, as_json=as_json)
    for note in done.notes:
        say(note)


def import_gguf(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A GGUF file, or the name of a pulled model.")
    ],
    output_dir: options.OutputDir,
    as_json: options.Json = False,
) -> None:
    """Write a Qwen2 GGUF file, such as the default model's, as a folder that can be trained."""
    from model_prep.gguf.importer import import_gguf as run

    with progress_bar() as progress:
        done = run(model, output_dir, progress=progress)
    _show(done, f"{done.output_dir} written", "float16", as_json=as_json)


def _show(done: "GgufExport | GgufImport", what: str, dtype: str, *, as_json: bool) -> None:
    if as_json:
        options.print_json(done)
        return
    counts = f"{done.tensors} tensors, {done.vocabulary:,} tokens, {done.size / 1e9:.2f} GB"
    say(f"{what}: {counts} as {dtype}")
