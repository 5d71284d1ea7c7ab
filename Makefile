# Everything runs in .venv; a target does again only what changed.
PYTHON ?= python3
Q ?= 李白是怎样去世的？
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
PROJECT := pyproject.toml constraints.txt

# Each process that a test starts would compile both packages again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install ask test test-quick check bench docs models clean

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "rag-app needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip>=25.1"
	@touch $@

# torch first and alone: its pinned version then satisfies whatever asks for it.
$(VENV)/.installed: $(VENV)/.made $(PROJECT)
	@echo "Installing into $(VENV); the first time takes a few minutes" >&2
	$(PIP) torch
	$(PIP) -e ".[server,train]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --group dev -e ".[server,train,preference,ocr,mcp,telemetry,milvus,cluster]"
	@touch $@

install: $(VENV)/.installed

models: install
	@$(VENV)/bin/model-prep pull default

# Indexing again skips what has not changed.
ask: models
	@$(VENV)/bin/rag-app index docs_corpus --index docs_corpus
	@$(VENV)/bin/rag-app ask "$(Q)" --index docs_corpus

# In two processes whatever the machine has: each may hold a language model.
test: models $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -p tests.forked --forks 2

# Without the real models and what takes long. Three processes, since tests of servers wait; each
# has one thread.
test-quick: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -p tests.forked --forks 3 -m "not model and not slow"

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell

bench: models $(VENV)/.installed-dev
	$(VENV)/bin/python -m tests.benchmarks

docs: $(VENV)/.installed-dev
	@mkdir -p build
	$(VENV)/bin/typer rag_app.cli utils docs --name rag-app --output build/rag-app.md
	$(VENV)/bin/typer model_prep.cli utils docs --name model-prep --output build/model-prep.md

clean:
	rm -rf $(VENV)
