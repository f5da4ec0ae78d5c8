# make demo    trains, tests and draws a small CBT on built-in data (a few minutes on two cores)
# make test    runs the unit tests, and each tool once (five minutes)
# make test-all    runs all tests but the soak
# make test-openmmlab    runs what make test does on OpenMMLab's original distributions, and
#                        compiles mmcv first
# make demo-models    trains the models in cbsa_mm/demo anew
# make gpu     proves on a GPU what other machines cannot, and measures there, in ten minutes
# make soak    kills, damages, restarts and resumes trainings, and prints what that changed
# make docs    builds the documentation, docs/_build/html/index.html
# make lint    checks style
# All of them but gpu create .venv, or .venv-openmmlab, first if it is not there.
PYTHON ?= python3
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

DEMO := work_dirs/demo
DEMO_CONFIG := configs/cbt/cbt-t_shapes.py
DEMO_CHECKPOINT := $(DEMO)/iter_700.pth

PYTEST := python -m pytest -n 2 --dist worksteal --durations 20

.PHONY: demo demo-models test test-all test-openmmlab gpu soak docs lint
.DELETE_ON_ERROR:

# Threads that wait for others leave the processor to them, so that a busy machine stays usable.
demo: export OMP_WAIT_POLICY := passive
demo: $(DEMO_CHECKPOINT)
	python tools/test.py $(DEMO_CONFIG) $(DEMO_CHECKPOINT) --work-dir $(DEMO)/test
	python tools/analysis_tools/show_results.py $(DEMO_CONFIG) $(DEMO_CHECKPOINT) --work-dir $(DEMO)/show \
		--out $(DEMO)/results.png
	mkdir -p $(DEMO)/images
	python -c "from PIL import Image; from cbsa_mm.datasets.shapes import render; \
		[Image.fromarray(render(2, i, 128, 4)[0]).save(f'$(DEMO)/images/{i}.png') for i in range(8)]"
	@echo
	@echo "image, truth and prediction:  $(DEMO)/results.png"
	@echo "checkpoint:                   $(DEMO_CHECKPOINT)"
	@echo "logs of training and test:    $(DEMO)/*/*.log $(DEMO)/test/*/*.log"
	@echo "Next, on other images:"
	@echo "  .venv/bin/python -m cbsa_mm predict $(DEMO_CONFIG) $(DEMO_CHECKPOINT) $(DEMO)/images"
	@echo "  .venv/bin/python -m cbsa_mm explore $(DEMO_CONFIG) $(DEMO_CHECKPOINT) $(DEMO)/images/*.png"

$(DEMO_CHECKPOINT): .venv/installed $(shell find cbsa_mm configs -name '*.py')
	rm -f $(DEMO)/*.pth
	python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO)

demo-models: .venv/installed
	for name in cbt-t_shapes cbt-t_shapes-cls; do \
		python tools/train.py configs/cbt/$$name.py --work-dir work_dirs/$$name && \
		python -c "import sys, torch; from safetensors.torch import save_file; \
			state = torch.load(open(sys.argv[1]).read(), weights_only=True)['state_dict']; \
			save_file({key: x.half() if x.is_floating_point() else x for key, x in state.items()}, sys.argv[2])" \
			work_dirs/$$name/last_checkpoint cbsa_mm/demo/$$name.safetensors || exit; \
	done

test: .venv/installed
	$(PYTEST)

test-all: .venv/installed
	$(PYTEST) -m 'not soak' --hypothesis-profile all

# The original set goes with PyTorch 2.1, which goes with Python up to 3.11 and NumPy 1.
OPENMMLAB := .venv-openmmlab
PINS := torch==2.1.2 torchvision==0.16.2 'numpy<2'

test-openmmlab: export PATH := $(CURDIR)/$(OPENMMLAB)/bin:$(PATH)
test-openmmlab: $(OPENMMLAB)/installed
	$(PYTEST)

# mmcv is compiled against the PyTorch that is installed; without debug symbols in less than half
# the time. Its wheel is kept by the versions that it is for, and taken from there the next time.
MMCV = $(HOME)/.cache/cbsa_mm/mmcv-2.1.0-torch2.1.2-$(shell $(PYTHON) -c \
	'import sys; print(sys.implementation.cache_tag)')

$(OPENMMLAB)/installed: export PATH := $(CURDIR)/$(OPENMMLAB)/bin:$(PATH)
$(OPENMMLAB)/installed: pyproject.toml
	$(PYTHON) -m venv $(OPENMMLAB)
	python -m pip install -q $(PINS) 'setuptools<70' wheel ninja psutil
	mkdir -p $(MMCV)
	CFLAGS=-g0 python -m pip wheel -q --no-build-isolation --no-cache-dir --no-deps \
		--find-links $(MMCV) -w $(MMCV) mmcv==2.1.0
	python -m pip install -q --find-links $(MMCV) mmcv==2.1.0 $(PINS)
	python -m pip install -q -e '.[openmmlab,detection,test]' $(PINS)
	touch $@

# With the libraries that are there, since a machine that is lent may be without network.
gpu:
	$(PYTHON) benchmarks/prove_gpu.py work_dirs/gpu

soak: .venv/installed
	python -m pytest -m soak -s --show-capture=no tests/runs

docs: .venv/installed
	python -m sphinx -q -W --keep-going -b html docs docs/_build/html

lint: .venv/installed
	ruff check .

.venv/installed: pyproject.toml
	@echo "Installing what is needed in .venv: it takes about 7 GB of disk"
	$(PYTHON) -m venv .venv
	python -m pip install -q -e '.[onedl,test,docs,lint]'
	touch $@
