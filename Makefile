# MRPC Lab. Every target installs what it needs into .venv first, and only what has changed since.
#
#   make run DATA=../mrpc ARGS='--port 7861'
#   make test T=tests/core/data/test_load.py PYTEST_ARGS='-x -k padding'
#   make run PYTHON=python3.12           another Python for a new .venv

PYTHON ?= python3
DATA ?=
ARGS ?=
T ?=
KILLS ?= 200
SPACE ?=
JOBS ?= 2
PYTEST_ARGS ?=
# Whole files to each process, in the order of tests/conftest.py: the longest first.
SHARED := -n $(JOBS) --dist loadfile --no-loadscope-reorder

VENV := .venv
PY := $(VENV)/bin/python
APP_INSTALLED := $(VENV)/.app-installed
TOOLS_INSTALLED := $(VENV)/.tools-installed
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check $(if $(CI),--quiet)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

export GRADIO_ANALYTICS_ENABLED ?= False

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-quick faults bench check format install browser space-check deploy clean

help:
	@echo 'make run         start the app at http://127.0.0.1:7860    DATA=folder ARGS="..."'
	@echo 'make test        run the whole test suite                  T=path PYTEST_ARGS="..." JOBS=2'
	@echo 'make test-quick  the tests without real trainings and browser, 3 minutes   JOBS=2'
	@echo 'make faults      kill trainings at random moments, the long form   KILLS=200'
	@echo 'make bench       training steps beside Trainer and others, 15 minutes   DATA=folder'
	@echo '                 the two ratios alone, 3 minutes           DATA=folder ARGS=--quick'
	@echo 'make check       formatting, lint and types'
	@echo 'make format      format the code and apply safe fixes'
	@echo 'make space-check install as a Hugging Face Space does, and test there   PYTHON=python3.12'
	@echo 'make deploy      put the app on a Space   SPACE=owner/name ARGS="--public --visitors-train"'
	@echo 'make install     install what the app needs, without starting it'
	@echo 'make clean       remove caches (not $(VENV), not runs/)'

run: $(APP_INSTALLED)
	$(PY) app.py $(if $(DATA),--data-dir '$(DATA)') $(ARGS)

test: $(TOOLS_INSTALLED) browser
	$(PY) -m pytest $(strip $(if $(T),,$(SHARED)) $(PYTEST_ARGS) $(T))

test-quick: $(TOOLS_INSTALLED)
	$(PY) -m pytest $(SHARED) -m 'not slow' --ignore tests/integration --ignore tests/e2e $(PYTEST_ARGS)

faults: $(TOOLS_INSTALLED)
	$(PY) -m tests.integration.faults --kills $(KILLS)

bench: $(TOOLS_INSTALLED)
	$(PY) -m benchmarks.training_speed --data-dir '$(or $(DATA),$(MRPC_DATA_DIR))' $(ARGS)
	$(PY) -m benchmarks.gpu

check: $(TOOLS_INSTALLED)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(TOOLS_INSTALLED)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

install: $(APP_INSTALLED)

browser: $(TOOLS_INSTALLED)
	@$(PY) tests/browser.py --install

space-check: $(TOOLS_INSTALLED)
	$(PY) -m tests.space_check $(ARGS)

deploy: $(APP_INSTALLED)
	$(PY) -m mrpc.publish.space '$(or $(SPACE),SPACE=owner/name is missing)' $(ARGS)

clean:
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis test-results
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv whose Python has gone or is too old is made anew; asked at every call, because the stamps outlive it.
ifneq ($(wildcard $(VENV)/.*-installed),)
ifneq ($(shell $(PY) -c '$(NEW_ENOUGH)' 2>/dev/null && echo yes),yes)
$(shell rm -f $(APP_INSTALLED) $(TOOLS_INSTALLED))
endif
endif

$(APP_INSTALLED): requirements.txt constraints.txt
	@$(make_venv)
	@echo 'Installing what the app needs into $(VENV): some minutes and gigabytes the first time.'
	$(PIP_INSTALL) -r requirements.txt -c constraints.txt
	@touch $@

$(TOOLS_INSTALLED): tests/requirements.txt $(APP_INSTALLED)
	$(PIP_INSTALL) -r tests/requirements.txt -c constraints.txt
	@touch $@

define make_venv
if ! $(PY) -c '$(NEW_ENOUGH)' 2>/dev/null; then \
	if ! command -v $(PYTHON) >/dev/null; then \
		echo 'No "$(PYTHON)" on PATH. MRPC Lab needs Python 3.11 or newer: make PYTHON=/path/to/python3 ...' >&2; exit 1; \
	fi; \
	if ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
		echo "MRPC Lab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2; exit 1; \
	fi; \
	if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo 'This $(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; \
	fi; \
	$(PYTHON) -m venv --clear $(VENV); \
elif ! $(PY) -c 'import pip' 2>/dev/null; then \
	$(PY) -m ensurepip; \
fi
endef
