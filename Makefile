# make demo    trains, tests and draws a small CBT on built-in data (a few minutes on two cores)
# make test    runs the tests
# make test-openmmlab    runs those that touch OpenMMLab on its original distributions, and
#                        compiles mmcv first
# make soak    kills, restarts and resumes long trainings, and prints what that changed
# make docs    builds the documentation, docs/_build/html/index.html
# make lint    checks style
# All of them create .venv, or .venv-openmmlab, first if it is not there.
PYTHON ?= python3
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

DEMO := work_dirs/demo
DEMO_CONFIG := configs/cbt/cbt-t_shapes.py
DEMO_CHECKPOINT := $(DEMO)/iter_700.pth

.PHONY: demo test test-openmmlab soak docs lint
.DELETE_ON_ERROR:

demo: $(DEMO_CHECKPOINT)
	python tools/test.py $(DEMO_CONFIG) $(DEMO_CHECKPOINT) --work-dir $(DEMO)/test
	python tools/show_results.py $(DEMO_CONFIG) $(DEMO_CHECKPOINT) --work-dir $(DEMO)/show \
		--out $(DEMO)/results.png
	@echo
	@echo "image, truth and prediction:  $(DEMO)/results.png"
	@echo "checkpoint:                   $(DEMO_CHECKPOINT)"
	@echo "logs of training and test:    $(DEMO)/*/*.log $(DEMO)/test/*/*.log"

$(DEMO_CHECKPOINT): .venv/installed $(shell find cbsa_mm configs -name '*.py')
	python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO)

test: .venv/installed
	python -m pytest

# The original set goes with PyTorch 2.1, which goes with Python up to 3.11 and NumPy 1.
OPENMMLAB := .venv-openmmlab
PINS := torch==2.1.2 torchvision==0.16.2 'numpy<2'

test-openmmlab: export PATH := $(CURDIR)/$(OPENMMLAB)/bin:$(PATH)
test-openmmlab: $(OPENMMLAB)/installed
	python -m pytest -m 'not soak and (both or not e2e)'

# mmcv is compiled against the PyTorch that is installed, never taken from a cache; without debug
# symbols in less than half the time.
$(OPENMMLAB)/installed: export PATH := $(CURDIR)/$(OPENMMLAB)/bin:$(PATH)
$(OPENMMLAB)/installed: pyproject.toml
	$(PYTHON) -m venv $(OPENMMLAB)
	python -m pip install -q $(PINS) 'setuptools<70' wheel ninja psutil
	CFLAGS=-g0 python -m pip install -q --no-build-isolation --no-cache-dir mmcv==2.1.0 $(PINS)
	python -m pip install -q -e '.[openmmlab,detection,test]' $(PINS)
	touch $@

soak: .venv/installed
	python -m pytest -m soak -s --show-capture=no tests/runs

docs: .venv/installed
	python -m sphinx -q -W --keep-going -b html docs docs/_build/html

lint: .venv/installed
	ruff check .

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	python -m pip install -q -e '.[onedl,test,docs,lint]'
	touch $@
