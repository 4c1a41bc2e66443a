# `make run` and `make test` do all of their own set-up: a virtual environment, the dependencies, the CPU kernels, the
# model files. They need Python 3.11 or newer, a C++ compiler and a package registry, nothing else. Without a compiler
# `make run` works, slowly.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
# With what tests need besides, which is much larger: PyTorch and coremltools.
TESTED := $(VENV)/installed-for-tests
FETCH  := $(BIN)/python tools/fetch_models.py
# Knows by itself whether there is something to do.
KERNELS := $(BIN)/python tools/setup_kernels.py
# The folder of the model files, outside git. TENSORLOGIC_MODELS names another one.
MODELS := $(or $(TENSORLOGIC_MODELS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tensorlogic/models)
SMOLLM2 := SmolLM2-135M-Instruct.Q4_1.gguf
# Two workers: more do not help on a small machine, and each one imports MLX.
WORKERS := 2

CHECKED := -DTENSORLOGIC_TESTS=ON -DTENSORLOGIC_WARNINGS_ARE_ERRORS=ON
# Says which Debian packages have the programs that a target wants, where one is missing: $(call need,PROGRAMS,PACKAGES)
need = for program in $(1); do command -v $$program >/dev/null || \
    { echo "error: found no $$program; on Debian and Ubuntu: apt install $(2)" >&2; exit 1; }; done

.PHONY: help run test lint types kernels sanitize kernels-tests kernels-arm64 bench fuzz \
    test-browser app setup clean

help:  ## Say what can be made.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Where the kernels cannot be built that is said once, and not again by what runs.
run: $(STAMP)  ## Ask a language model one question; its every layer is TensorLogic source.
	@$(FETCH) $(SMOLLM2)
	@$(KERNELS) || export TENSORLOGIC_KERNELS=off; \
	$(BIN)/tlc run examples/chat/chat.tl -- "$(MODELS)/$(SMOLLM2)" "What is the capital of France?"

test: lint types kernels  ## Run every check: ruff, mypy --strict, pytest.
	@$(FETCH)
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(TESTED)  ## Check style and format.
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(TESTED)  ## Check types.
	$(BIN)/mypy

kernels: $(TESTED)  ## Build the CPU kernels and install them into the virtual environment.
	@$(KERNELS) --required

sanitize: kernels  ## Run the tests of the CPU kernels with AddressSanitizer and UndefinedBehaviorSanitizer.
	tools/sanitize_kernels.sh $(VENV)

# The kernels' tests in C++: without Python and MLX, so that they run in an emulator, too.
kernels-tests:  ## Test the kernels of each instruction set that this processor has, in C++.
	@$(call need,cmake c++,cmake g++)
	@cmake -S kernels -B kernels/build/tests $(CHECKED)
	@cmake --build kernels/build/tests --target check --parallel $(WORKERS)

kernels-arm64:  ## Test the kernels for arm64 in an emulator.
	@$(call need,cmake aarch64-linux-gnu-g++ qemu-aarch64-static,cmake g++-aarch64-linux-gnu qemu-user-static)
	@cmake -S kernels -B kernels/build/arm64 $(CHECKED) -DCMAKE_TOOLCHAIN_FILE=tests/aarch64-linux-gnu.cmake
	@cmake --build kernels/build/arm64 --target check --parallel $(WORKERS)

bench: kernels  ## Measure programs against hand-written MLX, kernels against llama.cpp; print tables, write JSON.
	@$(FETCH)
	@$(BIN)/python tools/setup_bench.py
	$(BIN)/python -m benchmarks

fuzz: kernels  ## Run the long randomized tests that `make test` leaves out.
	$(BIN)/python -m pytest -m fuzz

test-browser: kernels  ## Test the page of examples/app in a headless Chromium, which it installs where there is none.
	@$(FETCH) $(SMOLLM2)
	@$(BIN)/python tools/setup_browser.py
	$(BIN)/python -m pytest -m browser tests/browser

# `exec`, so that Ctrl-C is the application's alone to answer.
app: $(STAMP)  ## Serve a chat with a language model at http://127.0.0.1:8000; PORT=8001 for another port.
	@$(FETCH) $(SMOLLM2)
	@$(KERNELS) || export TENSORLOGIC_KERNELS=off; \
	exec $(BIN)/python -m examples.app "$(MODELS)/$(SMOLLM2)" --port $(or $(PORT),8000)

setup: kernels  ## Make the virtual environment, build the CPU kernels, fetch the model files.
	@$(FETCH)

$(STAMP): pyproject.toml tools/setup_venv.sh
	@tools/setup_venv.sh $(VENV) text,app
	@touch $@

$(TESTED): pyproject.toml tools/setup_venv.sh
	@tools/setup_venv.sh $(VENV) dev,text,app
	@touch $(STAMP) $@

clean:  ## Remove everything that was made here; the model files stay.
	rm -rf $(VENV) build dist kernels/build kernels/dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
