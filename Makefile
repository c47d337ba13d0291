# Everything happens in this folder: the environment is .venv, results go to runs/.
# `make install PYTHON=/path/to/python3.12` chooses the Python; the first suitable one is taken else.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=

# What would go to the user's home otherwise.
export MTF_SYNTHESIZER_CACHE ?= $(CURDIR)/runs/cache
export MPLCONFIGDIR ?= $(CURDIR)/runs/cache/matplotlib
# Standard error of TensorFlow's C++ part: only errors.
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
COMPILE := uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
  --no-emit-package tensorflow-datasets --no-annotate --custom-compile-command "make lock"

.DELETE_ON_ERROR:
.PHONY: help install demo test quick lint format types unit lock check-stacks check-cache \
  check-synthetic check-huggingface check-commands check-soak check-tutorials docs notebook clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install: $(VENV)/.installed  ## build .venv from requirements.lock, with this package in it

demo: install  ## pretrain, fine-tune, evaluate and export three models: runs/demo/index.html
	$(BIN)/mtf_synthesizer demo

test: install lint types unit  ## everything that is checked before a change is accepted

quick: lint types  ## style, types and the first case of each quick test: while you work
	$(PYTEST) --quick

lint: install  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## correct style where that can be done automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install  ## check type hints
	$(BIN)/mypy

unit: install  ## run the tests
	$(PYTEST)

lock:  ## choose the newest releases that fit setup.py again and write the lock files (needs uv)
	@command -v uv > /dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(COMPILE) --extra dialogue --output-file requirements.lock setup.py
	$(COMPILE) --extra beam --output-file requirements-beam.lock setup.py

check-stacks: install  ## the same scores on TensorFlow 2.15; T5's own script on TensorFlow 2.12
	$(BIN)/python tests/checks/stacks.py

check-cache: install  ## offline caches made with Apache Beam hold what is read without, and train
	$(BIN)/python tests/checks/cache.py

check-synthetic: install  ## scores on synthetic tasks without attention, and models that learn one
	$(BIN)/python tests/checks/synthetic.py

check-soak: install  ## trainings that are killed resume with the same losses, digit by digit
	$(BIN)/python tests/checks/soak.py --kills 3

check-commands: install  ## the commands that `report` and the docs print, at a tiny size, to their end
	$(BIN)/python tests/checks/commands.py

check-tutorials: install  ## the commands of the tutorials, as a reader types them
	for page in first_run own_function own_task from_t5 finetune_t5 lookup glue; do \
	  $(BIN)/python tests/checks/tutorials.py $$page || exit; \
	done

check-huggingface: install .huggingface/.installed  ## models from and for transformers, with PyTorch
	PYTHONPATH=tests/support $(BIN)/python tests/checks/huggingface.py

.huggingface/.installed: tests/checks/huggingface.txt
	rm -rf .huggingface && $(BIN)/python -m venv .huggingface
	.huggingface/bin/python -m pip install --quiet --requirement tests/checks/huggingface.txt
	touch $@

docs: install .docs/.installed  ## build the site of documentation: build/docs/html/index.html
	$(BIN)/python docs/site/pages.py build/docs/source
	.docs/bin/sphinx-build -q -W --keep-going -c docs/site build/docs/source build/docs/html

notebook: install .docs/.installed  ## run a tutorial as a notebook: docs/notebooks/lookup.ipynb
	.docs/bin/python docs/site/notebook.py

.docs/.installed: docs/site/requirements.txt
	rm -rf .docs && $(BIN)/python -m venv .docs
	.docs/bin/python -m pip install --quiet --requirement docs/site/requirements.txt
	touch $@

clean:  ## remove the environments and what tools left; keeps runs/
	rm -rf $(VENV) .stacks .huggingface .docs build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The lock names one of the two distributions that write the folder tensorflow_datasets, so pip must
# not follow dependencies. Built anew when the lock changes: pip removes nothing from an old one.
$(VENV)/.locked: requirements.lock
	@python=$$(.ci/find_python.sh $(PYTHON)) && rm -rf $(VENV) && set -x && \
	  "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	touch $@

$(VENV)/.installed: $(VENV)/.locked setup.py pyproject.toml mtf_synthesizer/__init__.py
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
