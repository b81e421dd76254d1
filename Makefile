# One command each to set up, check, test and run. CI and hooks call the same targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Three at a time on two cores: many tests wait for processes. The tests of a file share what is expensive to make and stay together.
SIDE_BY_SIDE := -q -n 3 --dist loadfile --no-loadscope-reorder
# Hundreds of processes import the same code: it is compiled once, whatever the caller's shell says.
export PYTHONDONTWRITEBYTECODE :=
export PATH := $(CURDIR)/$(BIN):$(PATH)

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

setup: .venv/.done  ## make .venv from the lock

.venv/.done: requirements/dev.txt requirements/uv.txt
	@$(PYTHON) scripts/prerequisites.py
	@$(PYTHON) scripts/setup.py
	@touch $@

run: setup  ## the whole delivery on this machine
	@$(BIN)/pushline run --sample-if-offline

serve: setup  ## the champion in the foreground
	@$(BIN)/pushline serve

stop: setup  ## stop the live release
	@$(BIN)/pushline stop

check: setup  ## lint, types, workflows, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/zensical build --strict

format: setup  ## write the code the way check wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## every test
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-fast: setup  ## the daily subset
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not slow"

test-crash: setup  ## each command killed at every write it makes; hours
	CRASH_POINTS=0 $(BIN)/pytest -q --timeout 0 tests/crash

docs: setup  ## write what the documentation takes from the program
	@$(BIN)/python scripts/generate_docs.py

site: setup  ## the documentation as a site: site/index.html, which needs no server
	$(BIN)/zensical build --strict

notebook: setup  ## the notebook in the browser
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/notebook.txt
	@$(BIN)/jupyter-notebook notebooks/explore.ipynb

pictures: setup  ## take the documentation's pictures from a real run; needs chromium
	$(BIN)/python scripts/pictures.py

image: setup  ## the scoring image of the live release
	$(BIN)/python scripts/image.py

bench: setup  ## the service beside mlflow models serve, on the same model
	$(BIN)/python scripts/bench_serving.py

bench-checks: setup  ## check-data at 33 thousand, 3.3 million and 33 million rows, beside others
	$(BIN)/python scripts/bench_checks.py

bench-automl: setup  ## AutoML beside FLAML, AutoGluon and LightGBM on ten hold-outs; hours, goes on where it was
	$(BIN)/python scripts/bench_automl.py

mutation: setup  ## change what most depends on in hundreds of ways; tests must notice (hours)
	$(BIN)/python scripts/mutation.py $(MODULES)

lock: .venv/.done  ## renew the locks from pyproject.toml
	$(BIN)/python scripts/lock.py

bench-batch: setup  ## score-batch beside pandas and mlflow.pyfunc on the same fit
	$(BIN)/python scripts/bench_batch.py

sbom: setup  ## what the service is made of, as CycloneDX: build/sbom/
	@mkdir -p build/sbom
	@cp requirements/base.txt build/sbom/requirements.txt  # the name by which the scanner knows a lock
	@SYFT_CHECK_FOR_APP_UPDATE=false $(BIN)/syft scan --quiet file:build/sbom/requirements.txt --output cyclonedx-json=build/sbom/service.cdx.json

plan:  ## in GitHub Actions: what a pull request has to run
	@$(PYTHON) scripts/plan.py

verdict:  ## in GitHub Actions: whether a pull request may merge
	@$(PYTHON) scripts/verdict.py

path: setup  ## in GitHub Actions: let later steps find the commands
	@echo "$(CURDIR)/$(BIN)" >> "$$GITHUB_PATH"

.PHONY: bench bench-automl bench-batch bench-checks check docs format help image lock path pictures plan run sbom serve setup site stop test test-crash test-fast verdict
