# What a person runs: `make quickstart`. What a developer runs: `make test`. CI runs `make test` too, through .ci/run.

PYTHON ?= python3
BUDGET ?= 3m
QUICKSTART ?= runs/quickstart
PROMPT ?= Return the number of
BIN := .venv/bin

# Tests: no network, no thread pools fighting over the cores (models in tests are tiny), no look at the user's own settings.
TEST_ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 NO_COLOR=1

.PHONY: quickstart test check format clean
.DEFAULT_GOAL := test

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/installed-dev: .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch .venv/installed $@

# Builds the data once; trains, or goes on with a training that was stopped; then shows what the model writes.
quickstart: .venv/installed
	$(BIN)/daedal data build python-docs --out $(QUICKSTART)/data
	@if [ -e $(QUICKSTART)/model/training/plan.json ]; then set -- --resume $(QUICKSTART)/model; \
	else set -- gpt --data $(QUICKSTART)/data --budget $(BUDGET) --out $(QUICKSTART)/model; fi; \
	echo "$(BIN)/daedal train $$*"; $(BIN)/daedal train "$$@"
	$(BIN)/daedal generate $(QUICKSTART)/model --prompt "$(PROMPT)" --max-tokens 120 --temperature 0.8 --seed 1 -n 2

test: check
	$(TEST_ENV) $(BIN)/python -m pytest -n auto --dist worksteal

check: .venv/installed-dev
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
