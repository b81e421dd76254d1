# One command each to set up, check, test and run. CI and hooks call the same targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Three at a time on two cores: many tests wait for processes. The tests of a file share what is expensive to make and stay together.
SIDE_BY_SIDE := -q -n 3 --dist loadfile --no-loadscope-reorder
# Hundreds of processes import the same code: it is compiled once, whatever the caller's shell says.
export PYTHONDONTWRITEBYTECODE :=
export PATH := $(CURDIR)/$(BIN):$(PATH)
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	--fork-strategy fewest --find-links vendor pyproject.toml --output-file requirements/dev.txt
# engine only
include scripts/engine.mk
# end

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

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

check: setup $(MORE_CHECKS)  ## lint, and what else is quickly seen
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup  ## write the code the way check wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## every test
	$(BIN)/pytest $(SIDE_BY_SIDE)

notebook: setup  ## the notebook in the browser
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/notebook.txt
	@$(BIN)/jupyter-notebook notebooks/explore.ipynb

image: setup  ## the scoring image of the live release
	$(BIN)/python -m pushline.azure.build_image

lock: setup  ## renew the lock from pyproject.toml
	$(LOCK)

sbom: setup  ## what the service is made of, as CycloneDX: build/sbom/
	@mkdir -p build/sbom
	@cp requirements/base.txt build/sbom/requirements.txt  # the name by which the scanner knows a lock
	@SYFT_CHECK_FOR_APP_UPDATE=false $(BIN)/syft scan --quiet file:build/sbom/requirements.txt --output cyclonedx-json=build/sbom/service.cdx.json

path: setup  ## in GitHub Actions: let later steps find the commands
	@echo "$(CURDIR)/$(BIN)" >> "$$GITHUB_PATH"

.PHONY: check format help image lock notebook path run sbom serve setup stop test
