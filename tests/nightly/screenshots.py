"""The picture of the page in the READMEs: the default models, asked about `docs_corpus`.

python -m tests.nightly.screenshots [--into .github] [--threads 1]
"""

import argparse
import os
import tempfile
from pathlib import Path

from PIL import Image

from model_prep.catalog.pull import models_folder
from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.registry import resolve
from rag_app.settings import DEFAULTS
from tests.paths import ROOT
from tests.rag_app.server import browser as browsers
from tests.rag_app.server.browser import Browser
from tests.rag_app.server.serving import serving, upload

QUESTION = "李白是怎样去世的？"


def answer_with_its_passage(page: Browser) -> None:
    """Ask, and open the passage that the answer is from."""
    page.until(lambda: "default" in str(page.find("#question").get_attribute("placeholder")))
    page.find("#question").send_keys(QUESTION)
    page.click("#send")
    page.until(lambda: page.find(".answer").get_attribute("data-status") == "done")
    page.click('[data-testid="evidence"]')
    page.shown("#viewer mark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / ".github")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    llm = LlamaCppChat(
        path=Path(resolve(DEFAULTS.llm)[1]),
        context_length=DEFAULTS.context_length,
        parallel=1,
        threads=options.threads,
    )
    files = {
        file.name: file.read_bytes()
        for file in sorted((ROOT / "docs_corpus").iterdir())
        if file.suffix != ".jsonl"
    }
    browsers.SECONDS = 600  # a busy machine reads slowly
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "models").symlink_to(models_folder())
        os.environ["RAG_APP_HOME"] = home
        with serving(llm=llm, hashing=False) as served, served.client(timeout=600) as client:
            upload(client, "default", **files)
            with browsers.started("zh-CN") as page:
                page.open(served.url)
                answer_with_its_passage(page)
                page.screenshot("page")
    with Image.open(browsers.SCREENSHOTS / "page.png") as picture:
        picture.convert("RGB").quantize(256).save(options.into / "page.png", optimize=True)


if __name__ == "__main__":
    main()
