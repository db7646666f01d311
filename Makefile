# `make demo` and `make test` set up everything they need in .venv; a second run installs nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
METADATA := setup.cfg pyproject.toml constraints.txt
OUT    ?= sklexplain-demo
FUZZ_SECONDS ?= 600
OLDEST_PYTHON ?= python3.11
OLDEST_TESTS ?= tests
NOTEBOOKS ?= $(sort $(wildcard notebooks/*.ipynb))

.PHONY: help demo test notebooks bench bench-quick lint format fuzz audit test-oldest clean

help:
	@echo "make demo       explain a GRU on real share prices; writes $(OUT)/report.html"
	@echo "make test       run the tests"
	@echo "make notebooks  run the notebooks from top to bottom; their files stay as they are"
	@echo "make bench      measure everything beside its peers; writes benchmarks/RESULTS.md (20 minutes)"
	@echo "make bench-quick  the same with fewer rows and rounds; writes build/bench-quick (2 minutes)"
	@echo "make lint       check format, style and types"
	@echo "make format     rewrite the files in the project's format"
	@echo "make fuzz       draw wrong input for $(FUZZ_SECONDS) seconds, new each time; prints its seed"
	@echo "make audit      look the pinned versions up in a service of known vulnerabilities"
	@echo "make test-oldest  run the tests with the oldest supported versions, on Python 3.11"
	@echo "make clean      remove $(VENV) and caches"

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'sklexplain needs Python 3.11 or newer: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras, so that the demo does not install what only developers need.
$(VENV)/.installed-%: $(METADATA) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$*]"
	@touch $@

demo: $(VENV)/.installed-cli
	$(BIN)/sklexplain demo --out $(OUT)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --dist worksteal

# Nothing is written: a notebook that fails shows its cell and its error, and make stops.
notebooks: $(VENV)/.installed-notebooks
	$(BIN)/jupyter-execute --timeout=120 --kernel_name=python3 $(NOTEBOOKS)

# Both fail if a row did, and keep the others.
bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/suite.py

bench-quick: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/suite.py --quick

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(VENV)/.installed-test
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

# pip-audit's own packages stay out of the environment that it checks.
audit: $(VENV)-audit/.installed
	$(VENV)-audit/bin/python .ci/audit.py constraints.txt

$(VENV)-audit/.installed:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@touch $@

test-oldest: $(VENV)-oldest/.installed
	$(VENV)-oldest/bin/python -m pytest -n auto --dist worksteal $(OLDEST_TESTS)

$(VENV)-oldest/.installed: setup.cfg pyproject.toml constraints-oldest.txt
	$(OLDEST_PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e ".[test]"
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-audit $(VENV)-oldest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
