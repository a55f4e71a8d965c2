# Every target makes the environment it needs: .venv here, .venv-bench for the benchmark's peers.
SHELL := /bin/bash -o pipefail
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CPP := $(shell find native -name '*.cpp' -o -name '*.h')
NATIVE := $(CPP) native/CMakeLists.txt native/tests/CMakeLists.txt CMakeLists.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install mnist test test-machines lint format docs sanitize package interop bench accuracy examples clean

# A process for each core, of one thread that waits asleep. Tests that need more threads set their number themselves.
# Compiled code is kept, whatever the user's setting: it spares each process, and each program that a test starts, seconds.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n auto --dist worksteal

# What the libraries see of the processor: all of it, or no more than AVX2 or SSE 4.
own :=
avx2 := ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 RNNKIT_CPU=avx2
generic := ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2 ONEDNN_MAX_CPU_ISA=SSE41 RNNKIT_CPU=generic
MACHINES ?= own $(if $(filter x86_64 amd64 AMD64,$(shell uname -m)),avx2 generic)

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(INSTALLED)  ## create .venv, build the native core and install rnnkit into it

$(INSTALLED): pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"rnnkit needs Python 3.11 or newer; {sys.executable} is {v.major}.{v.minor}. Name another: make PYTHON=python3.12 ...")' \
	  || { echo "$(PYTHON) did not run or does not serve; rnnkit needs Python 3.11 or newer: make PYTHON=/path/to/python ..." >&2; exit 1; }
	@if [ "$(RNNKIT_NATIVE)" != 0 ] && ! command -v $${CXX:-c++} >/dev/null && ! command -v g++ >/dev/null && ! command -v clang++ >/dev/null; then \
	  echo "No C++ compiler was found, and the native core needs one (C++20)." >&2; \
	  echo "Install it (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install)," >&2; \
	  echo "or install without the core: RNNKIT_NATIVE=0 make $(or $(MAKECMDGOALS),install)" >&2; exit 1; fi
	@test -x $(BIN)/python || { echo "Creating $(VENV) (a few minutes the first time) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what rnnkit needs ..."
	@$(PIP) install -q -c constraints.txt 'scikit-build-core>=0.11' 'nanobind>=2.4' 'cmake>=3.20' ninja 'setuptools>=70.1'
	@echo "Building and installing rnnkit ..."
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --progress-bar off --no-build-isolation -c constraints.txt -e '.[dev]' \
	  | { grep --line-buffered -oE '^(Downloading [^ ]+.*|Installing collected packages|Building editable.*)' || true; }
	@touch $@

mnist: install  ## train the digit reader on MNIST and print its accuracy (ARGS="--set fit.epochs=1")
	@$(BIN)/rnnkit train mnist $(ARGS)

test: install  ## run the tests (ARGS="-k simple_rnn"; ARGS=-n0 for one process)
	@$(PYTEST) $(ARGS)

test-machines: install  ## run them as on several processors (MACHINES="own avx2 generic")
	@$(foreach machine,$(MACHINES),echo "== $(machine) $($(machine))"; env $($(machine)) $(PYTEST) $(ARGS) || exit 1;)

lint: install  ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/clang-format --dry-run --Werror $(CPP)
	@$(BIN)/mypy

format: install  ## mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CPP)

docs: install  ## build the documentation site into build/site
	@$(BIN)/python docs/tools/command_line.py >/dev/null
	@$(BIN)/zensical build --clean --strict
	@echo "Open build/site/index.html"

sanitize: install  ## run the core's own tests under the address and undefined-behaviour sanitizers
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B build/sanitize -G Ninja -DRNNKIT_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug >/dev/null
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/sanitize
	@for cpu in generic avx2 avx512 avxvnni avx512vnni; do RNNKIT_CPU=$$cpu build/sanitize/native/tests/core_tests || exit 1; done

package: install  ## build the wheel and the source archive into build/dist and try both in an empty environment
	@$(BIN)/python tests/distribution/build_and_try.py build/dist

interop: install .venv-interop/.installed  ## read Keras's files and write them, compared with Keras itself
	@$(BIN)/python -m benchmarks.keras_interop .venv-interop/bin/python build/interop

.venv-interop/.installed: benchmarks/keras_interop/requirements.txt constraints.txt
	@$(PYTHON) -m venv .venv-interop
	@.venv-interop/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt torch -r $<
	@touch $@

bench: install  ## measure against PyTorch, Keras, JAX and neuralforecast; writes docs/benchmarks.md and the page of this processor
	@status=0; for part in "benchmarks --write $(ARGS)" benchmarks.language benchmarks.forecasting benchmarks.transducer \
	  benchmarks.speech; do \
	  $(BIN)/python -m $$part || status=1; done; exit $$status

accuracy: install  ## train what has a figure to reach, and compare (ARGS="--only forecast-weather" for one)
	@$(BIN)/python -m benchmarks.accuracy $(ARGS)

examples: install  ## run the examples
	@for example in examples/*.py; do echo "== $$example"; $(BIN)/python $$example || exit 1; done

clean:  ## remove the environments and what was built
	rm -rf $(VENV) .venv-bench .venv-interop .venv-neuralforecast .cache build
