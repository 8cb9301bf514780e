# Every command here works on a fresh machine: what is needed is installed into $(VENV) first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Small kernels run faster on one thread each than on several that wait for each other.
TEST_WORKERS ?= 2

.PHONY: help venv demo test lint docs bench clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[test,docs]"
	@touch $@ $(VENV)/.run

venv: $(VENV)/.all  ## the environment for development, in .venv

demo: $(VENV)/.run  ## compare families on census records (Adult): leaderboard and HTML report
	$(BIN)/ensample compare sample:adult --split-column split --families boosted,trees,circuit,bayesnet,mixture,autoregressive --budget 100s --seed 0 --save demo/adult.html

test: lint docs  ## style, types, tests, examples in the documentation, and the documentation itself
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS)

lint: $(VENV)/.all  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.all  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.all  ## measure: each script prints one JSON line
	@set -e; for script in bench/*.py; do echo "$$script"; $(BIN)/python "$$script"; done

clean:  ## take away what the commands above have made
	rm -rf $(VENV) site demo build dist .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
	find src tests bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
