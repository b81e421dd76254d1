# One command each to set up, check, test and run. CI and hooks call the same targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Four at a time on two cores: many tests wait for processes. The tests of a file share what is expensive to make and stay together.
SIDE_BY_SIDE := -q -n 4 --dist loadfile --no-loadscope-reorder
# Hundreds of processes import the same code: it is compiled once, whatever the caller's shell says.
export PYTHONDONTWRITEBYTECODE :=
export PATH := $(CURDIR)/$(BIN):$(PATH)
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	--fork-strategy fewest --find-links vendor pyproject.toml
LOCK = $(COMPILE) --extra dev --output-file requirements/dev.txt && for role in train release; do \
	$(COMPILE) --extra $$role --constraint requirements/dev.txt --output-file requirements/$$role.txt || exit 1; done
# What .venv is for: dev, or what a job needs and no more. Without a word it stays what it is.
MADE := $(shell cat .venv/.done 2>/dev/null)
ROLE := $(or $(MADE),dev)
# engine only
include scripts/engine.mk
# end

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

setup: .venv/.done  ## make .venv from the lock; ROLE=train or ROLE=release: what that job needs and no more

.venv/.done: requirements/$(ROLE).txt requirements/uv.txt $(if $(filter-out $(ROLE),$(MADE)),another-role)
	@$(PYTHON) scripts/prerequisites.py
	@$(PYTHON) scripts/setup.py $(ROLE)

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
	@cp requirements/serve.txt build/sbom/requirements.txt  # the name by which the scanner knows a lock
	@SYFT_CHECK_FOR_APP_UPDATE=false $(BIN)/syft scan --quiet file:build/sbom/requirements.txt --output cyclonedx-json=build/sbom/service.cdx.json

path: setup  ## in GitHub Actions: let later steps find the commands
	@echo "$(CURDIR)/$(BIN)" >> "$$GITHUB_PATH"

another-role:

.PHONY: another-role check format help image lock notebook path run sbom serve setup stop test
