# make start   open napari with a head, and Segment run once (without a display: a screenshot and the labels under output/)
# make test    lint, types and all tests, those of the GUI in a real window on a virtual display
# Both set up what they need in .venv first. `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= all
PYTEST_ARGS ?=
# Tests that run side by side, each file in one process.
JOBS ?= 2
READY := $(VENV)/.ready-$(EXTRAS)
# A virtual screen that is large enough for napari and its dock.
VIRTUAL := xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX"

SYSTEM := $(shell uname -s)
ifeq ($(SYSTEM)$(DISPLAY)$(WAYLAND_DISPLAY),Linux)
SCREENLESS := yes
endif

.DEFAULT_GOAL := help
.PHONY: help start test setup system-start system-test lint format docs wheel benchmarks clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

start: system-start $(READY) ## Open napari with a sample head, the dock open and Segment run once
ifdef SCREENLESS
	$(VIRTUAL) $(BIN)/python scripts/start.py --output output
else
	$(BIN)/python scripts/start.py
endif

test: system-test lint ## Check style, format and types, and run every test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

setup: $(READY) ## Make or refresh the environment in .venv

# First of all, because a system that lacks something should say so at once.
system-start:
	@scripts/system_packages libraries $(if $(SCREENLESS),display)

system-test:
	@scripts/system_packages libraries display locales

lint: $(READY) ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Build the documentation site into build/site, warnings counting as errors
	$(BIN)/python -m sphinx -q -W --keep-going -c docs/site -d build/known_pages . build/site

wheel: $(READY) ## Build the wheel and the source package into dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

benchmarks: $(READY) ## Measure the speed of segmenting and training anew, best on a quiet machine
	$(BIN)/python benchmarks/all.py

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) build dist output *.egg-info .mypy_cache .pytest_cache .ruff_cache
	rm -rf napari_ultralight/napari.yaml napari_ultralight/sample_data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): setup.py pyproject.toml constraints.txt
	@scripts/find_python $(PYTHON) >/dev/null || scripts/system_packages python
	@scripts/find_python $(PYTHON) >/dev/null || { \
	    echo "Expected Python 3.11 or newer with its venv module, found none; install it, or say where it is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || "$$(scripts/find_python $(PYTHON))" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip setuptools build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[$(EXTRAS)]"
	@touch $@
