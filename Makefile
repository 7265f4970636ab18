# Every target installs what it needs into its own virtual environment; nothing else is touched.
PYTHON ?= python3
PYTHON39 ?= python3.9
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_OUTPUT ?= outputs/demo

# For `make test-devkit`: the interpreter that has the devkit's requirements, and the checkouts to try in turn.
# With NAVSIM empty, the devkit that DEVKIT_PYTHON has installed is tested. Its environment is seen, but not changed:
# this package is installed, as documented, into one of the target's own, and tested from a folder without it.
DEVKIT_PYTHON ?= python
NAVSIM ?=
NUPLAN ?=
DEVKIT_VENV ?= .venv-devkit
DEVKIT_TESTS ?= tests/devkit
DEVKIT_PIP := $(DEVKIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup demo test lint unit test-devkit test-pins clean

setup: $(VENV)/.installed

$(VENV)/.installed: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[demo,test]'
	touch $@

demo: setup
	$(BIN)/drive-jepa demo output=$(DEMO_OUTPUT)

test: lint unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest

test-devkit:
	$(DEVKIT_PYTHON) -m tests.environments $(DEVKIT_VENV)
	$(DEVKIT_PIP) --no-deps --editable .
	$(DEVKIT_PIP) jaxtyping beartype 'pytest>=7'
	mkdir -p $(DEVKIT_VENV)/run && cp -R tests benchmarks docs examples README.md CONTRIBUTING.md pyproject.toml $(DEVKIT_VENV)/run
	@status=0; cd $(DEVKIT_VENV)/run; for navsim in $(if $(NAVSIM),$(abspath $(NAVSIM)),installed); do \
	  paths=$$PYTHONPATH; [ $$navsim = installed ] || paths=$$navsim:$(abspath $(NUPLAN)); \
	  echo "== devkit: $$navsim"; \
	  PYTHONPATH=$$paths ../bin/python -m pytest $(DEVKIT_TESTS) --require-devkit || status=1; \
	done; exit $$status

test-pins: .venv-pins/.installed
	.venv-pins/bin/python -m pytest

.venv-pins/.installed: setup.py pyproject.toml requirements/pins.txt
	$(PYTHON39) -m venv .venv-pins
	.venv-pins/bin/python -m pip install --quiet --upgrade pip  # Python 3.9 brings one that resolves for many minutes
	.venv-pins/bin/python -m pip install --quiet --constraint requirements/pins.txt --editable '.[demo,test]'
	touch $@

clean:
	rm -rf build dist *.egg-info outputs .pytest_cache .mypy_cache .ruff_cache
