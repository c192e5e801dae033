# A thin face on pyproject.toml. Needs Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
UV = $(shell command -v uv || echo $(BIN)/python -m uv)
NBVAL := -p tools.nbval_tolerance --nbval --nbval-current-env --nbval-cell-timeout=300 \
  --nbval-sanitize-with tools/device_names.cfg --dist loadscope

# `make run` and `make test` compute on the CPU; DEVICE=gpu (NVIDIA, Linux) or DEVICE=tpu (a TPU VM) also installs its JAX.
DEVICE ?= cpu
PLATFORMS_cpu := cpu
PLATFORMS_gpu := cuda,cpu
PLATFORMS_tpu := tpu,cpu
$(if $(PLATFORMS_$(DEVICE)),,$(error DEVICE is '$(DEVICE)'; it can be cpu, gpu or tpu))
READY := $(VENV)/installed$(if $(filter-out cpu,$(DEVICE)),-$(DEVICE))
# A TPU has one user at a time, and a GPU room for one lesson.
JOBS ?= $(if $(filter cpu,$(DEVICE)),2,1)

.PHONY: help run test lab parity bench tpu-check notebooks lint format lock
help:          ## what can be made
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/: .*##/\t/' | expand -t 12

# Two lessons, or two tests, run at a time: more than one thread each would only wait for one another.
run test tpu-check notebooks: export OPENBLAS_NUM_THREADS = 1
run test: export JAX_PLATFORMS = $(PLATFORMS_$(DEVICE))
run test: export XLA_PYTHON_CLIENT_PREALLOCATE = false
tpu-check: export JAX_PLATFORMS = cpu

run: $(READY)  ## set up, then execute every lesson into build/notebooks
	$(BIN)/python tools/notebooks.py run --jobs $(JOBS)

test: $(READY)  ## unit tests, then every stored notebook against what it computes here (DEVICE=cpu, gpu or tpu)
	$(BIN)/python tools/notebooks.py check
	$(BIN)/python -m pytest -q -n $(JOBS) tests
	$(BIN)/python -m pytest -q -n $(JOBS) $(NBVAL) notebooks

lab: $(VENV)/installed  ## open the lessons in JupyterLab
	$(BIN)/python -m jupyterlab --notebook-dir notebooks

parity: $(VENV)/parity-installed  ## our models against the official code, live; and the tests that read PyTorch files
	$(BIN)/python -m pytest -q -m parity tests/parity
	$(BIN)/python -m pytest -q tests/test_checkpoints_formats.py tests/test_checkpoints_bad_input.py

bench: $(VENV)/bench-installed  ## speed and memory beside the peers' and the machine's limit (BENCH_ARGS=--quick)
	$(BIN)/python -m benchmarks.speed $(BENCH_ARGS)

tpu-check: $(VENV)/libtpu  ## without a TPU: the lessons through its compiler, and lessons and tests with its rounding
	$(BIN)/python tools/tpu_check.py --jobs $(JOBS)
	$(BIN)/python -m pytest -q -n $(JOBS) -p tools.tpu_rounding tests

notebooks: $(VENV)/installed  ## rebuild the stored notebooks whose source changed, and the table of exercises
	$(BIN)/python tools/notebooks.py build
	$(BIN)/python tools/exercise_table.py

lint: $(VENV)/installed  ## is the code in its house style? (make format puts it there)
	$(BIN)/python -m ruff check . && $(BIN)/python -m ruff format --check .

format: $(VENV)/installed  ## put the code in its house style
	$(BIN)/python -m ruff check --fix . && $(BIN)/python -m ruff format .

# pip alone takes about ten times as long, so it only fetches uv (2 s) where that is missing.
$(VENV)/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c "import sys; v = sys.version_info; v >= (3, 11) or sys.exit('gemma_edu needs Python 3.11 or newer and $(PYTHON) is %d.%d: name another, as in  make PYTHON=python3.12 run' % v[:2])"
	$(PYTHON) -m venv $(VENV)
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock -e ".[weights,dev]"
	touch $@

$(VENV)/installed-%: $(VENV)/installed
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock -e ".[$*]"
	touch $@

# By pip, which knows of local builds of torch; gemma-llm without its requirements, which are of February 2024.
$(VENV)/parity-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e ".[parity]"
	$(BIN)/python -m pip install --quiet --no-deps gemma-llm==1.0.0
	touch $@

# llama.cpp is compiled here, which takes minutes; without a C++ compiler the benchmark skips it by name.
$(VENV)/bench-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e ".[bench]" || $(BIN)/python -m pip install --quiet -e ".[parity]"
	touch $@

# Beside the packages: where JAX finds libtpu, every notebook prints warnings. Where there is none, the check skips.
$(VENV)/libtpu: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-deps --target $@ "$$($(BIN)/python -m gemma_edu.scaling.tpu_compiler --requirement)" || mkdir -p $@
	touch $@

lock: $(VENV)/installed  ## resolve pyproject.toml anew, for every platform, without registry addresses
	$(UV) export --quiet --extra weights --extra dev --no-hashes --no-annotate --no-header --no-emit-project -o requirements.lock
