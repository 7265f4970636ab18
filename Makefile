# Every target installs what it needs into its own virtual environment; nothing else is touched.
PYTHON ?= python3
PYTHON39 ?= python3.9
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_OUTPUT ?= outputs/demo

# For `make test-devkit`: the interpreter that has the devkit's requirements, and the checkouts to try in turn.
# With NAVSIM empty, the devkit that DEVKIT_PYTHON has installed is tested.
DEVKIT_PYTHON ?= python
NAVSIM ?=
NUPLAN ?=

.PHONY: setup demo test lint unit test-devkit test-pins clean

setup: $(VENV)/.installed

$(VENV)/.installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[demo,test]'
	touch $@

demo: setup
	$(BIN)/python -m training.demo output=$(DEMO_OUTPUT)

test: lint unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest

test-devkit:
	@status=0; for navsim in $(if $(NAVSIM),$(NAVSIM),installed); do \
	  paths=$$PYTHONPATH; [ $$navsim = installed ] || paths=$$navsim:$(NUPLAN); \
	  echo "== devkit: $$navsim"; \
	  PYTHONPATH=$(CURDIR):$$paths $(DEVKIT_PYTHON) -m pytest tests/devkit --require-devkit || status=1; \
	done; exit $$status

test-pins: .venv-pins/.installed
	.venv-pins/bin/python -m pytest

.venv-pins/.installed: setup.py requirements/pins.txt
	$(PYTHON39) -m venv .venv-pins
	.venv-pins/bin/python -m pip install --quiet --upgrade pip  # Python 3.9 brings one that resolves for many minutes
	.venv-pins/bin/python -m pip install --quiet --constraint requirements/pins.txt --editable '.[demo,test]'
	touch $@

clean:
	rm -rf build dist *.egg-info outputs .pytest_cache .mypy_cache .ruff_cache
