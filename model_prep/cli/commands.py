"""The commands of ``model-prep`` by their names."""

import typer

from model_prep.cli import (
    convert,
    crawl,
    distill,
    generate,
    gguf,
    merge,
    merge_tokenizer,
    models,
    training,
    verify,
)
from model_prep.cli.boundary import Boundary, root
from model_prep.cli.options import with_dashes

app = typer.Typer(
    cls=Boundary,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": with_dashes,
    },
)
app.callback()(root)
app.command("convert")(convert.convert)
app.command("merge-tokenizer")(merge_tokenizer.merge_tokenizer)
app.command("merge")(merge.merge)
app.command("verify")(verify.verify)
app.command("generate")(generate.generate)
app.command("infer", hidden=True)(generate.generate)
app.command("export-gguf")(gguf.export_gguf)
app.command("import-gguf")(gguf.import_gguf)
app.command("crawl")(crawl.crawl)
app.command("pretrain", context_settings=training.CONTEXT)(training.pretrain)
app.command("sft", context_settings=training.CONTEXT)(training.sft)
app.command("prefer", context_settings=training.CONTEXT)(training.prefer)
app.command("distill")(distill.distill)
app.command("pull")(models.pull)
app.command("models")(models.models)
