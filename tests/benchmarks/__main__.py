"""Run every benchmark in turn: `make bench`; hours on a small machine."""

import runpy

for name in (
    "retrieval",
    "calibrate",
    "llm_overhead",
    "latency",
    "engine.cache_answers",
    "summaries",
    "injection",
    "indexing",
    "scale",
    "reading",
    "ocr",
    "model_prep.sha256",
    "model_prep.tokenizing",
    "throughput",
    "clients",
    "model_prep.merge",
    "model_prep.training",
):
    print(f"== {name}")
    runpy.run_module(f"tests.benchmarks.{name}", run_name="__main__")
