# What only the engine's own repository can do; `Makefile` takes it in where it is there.
MORE_CHECKS := check-engine
LOCK := $(BIN)/python scripts/lock.py
SIDE_BY_SIDE := -q -n 4 --dist loadscope --no-loadscope-reorder  # tests/conftest.py says what stays together

check-engine: setup  ## types, generated docs
	$(BIN)/mypy
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/zensical build --strict

wheel: setup  ## the engine as a wheel: dist/, the same bytes from the same commit
	@$(BIN)/python -m pushline.template.wheel dist

release:  ## in GitHub Actions: make the release of a tag, with the wheel attached
	@gh release create "$(TAG)" dist/*.whl --verify-tag --generate-notes

test-fast: setup  ## the daily subset
	$(BIN)/pytest $(SIDE_BY_SIDE) -n 3 -m "not slow"  # few of these wait, and each worker imports everything anew

test-crash: setup  ## each command killed at every write it makes; hours
	CRASH_POINTS=0 $(BIN)/pytest -q --timeout 0 tests/crash

upgrades: setup  ## ten releases, six adopted tables, five edits of an owner: 300 upgrades, timed
	$(BIN)/python scripts/upgrade_matrix.py

docs: setup  ## write what the documentation takes from the program
	@$(BIN)/python scripts/generate_docs.py

site: setup  ## the documentation as a site: site/index.html, which needs no server
	$(BIN)/zensical build --strict

pictures: setup  ## take the documentation's pictures from a real run; needs chromium
	$(BIN)/python scripts/pictures.py

bench: setup  ## the service beside mlflow models serve, on the same model
	$(BIN)/python scripts/bench_serving.py

bench-checks: setup  ## check-data at 33 thousand, 3.3 million and 33 million rows, beside others
	$(BIN)/python scripts/bench_checks.py

bench-automl: setup  ## AutoML beside FLAML, AutoGluon and LightGBM on ten hold-outs, with TASK=regression on six tables of quantities; hours
	$(BIN)/python scripts/bench_automl.py $(if $(TASK),--task $(TASK))

bench-tables: setup  ## AutoML beside its peers on 63 tables that ship inside packages; a day, goes on where it was
	$(BIN)/python scripts/bench_tables.py

bench-intervals: setup  ## prediction intervals beside MAPIE's on the same model, on 200 tables of four kinds
	$(BIN)/python scripts/bench_intervals.py

bench-estimates: setup  ## whether the hold-out tells the loss in use, on worlds whose truth is known
	$(BIN)/python scripts/bench_estimates.py

bench-performance: setup  ## estimates of quality beside what turned out, and how often alarms are false
	$(BIN)/python scripts/bench_performance.py

bench-explanations: setup  ## how fast answers are explained, and how far from the libraries' own
	$(BIN)/python scripts/bench_explanations.py

bench-outcomes: setup  ## outcomes and performance on a prediction log of a million rows
	$(BIN)/python scripts/bench_outcomes.py

bench-replay: setup  ## how often replay stops an honest retraining, and how often a fault
	$(BIN)/python scripts/bench_replay.py

bench-commands: setup  ## how long the commands of everyday take to their first word and to their end
	$(BIN)/python scripts/bench_commands.py $(if $(ONLY),--only $(ONLY))

bench-batch: setup  ## score-batch beside pandas and mlflow.pyfunc on the same fit
	$(BIN)/python scripts/bench_batch.py

mutation: setup  ## change what most depends on in hundreds of ways; tests must notice (hours)
	$(BIN)/python scripts/mutation.py $(MODULES)

plan:  ## in GitHub Actions: what a pull request has to run
	@$(PYTHON) scripts/plan.py

verdict:  ## in GitHub Actions: whether a pull request may merge
	@$(PYTHON) scripts/verdict.py

.PHONY: bench bench-automl bench-batch bench-checks bench-commands bench-performance bench-replay bench-estimates bench-explanations bench-intervals bench-outcomes bench-tables check-engine docs mutation pictures plan release site test-crash test-fast upgrades verdict wheel
