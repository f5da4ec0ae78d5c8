# make demo    trains, tests and draws a small CBT on built-in data (a few minutes on two cores)
# make test    runs the tests
# make soak    kills, restarts and resumes long trainings, and prints what that changed
# make lint    checks style
# All of them create .venv first if it is not there.
PYTHON ?= python3
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

DEMO := work_dirs/demo
DEMO_CONFIG := configs/cbt/cbt-t_shapes.py
DEMO_CHECKPOINT := $(DEMO)/iter_700.pth

.PHONY: demo test soak lint
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

soak: .venv/installed
	python -m pytest -m soak -s --show-capture=no tests/runs

lint: .venv/installed
	ruff check .

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	python -m pip install -q -e '.[onedl,test,lint]'
	touch $@
