# One command sets everything up and runs the default study: make run. The checks: make test.
PYTHON ?= python3
BIN := .venv/bin
# uv does not read pip's setting of extra places where wheels lie, so it is handed on.
export UV_FIND_LINKS ?= $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null || echo $(PIP_FIND_LINKS))
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)

.PHONY: run test explore lock browser benchmark campaign clean
.DELETE_ON_ERROR:

run: .venv/ready
	$(BIN)/medloop run

# Two workers, a thread each: with two threads each they waste a third of the processors' time waiting for each other.
test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# The property tests on examples that were never tried; `make test` repeats the same ones.
explore: .venv/ready
	$(BIN)/pytest --hypothesis-profile=explore tests/unit

browser: .venv/ready
	$(BIN)/pytest tests/browser

benchmark: .venv/ready
	$(BIN)/python -m pytest tests/benchmarks -s

# A run is killed in every named place, and a hundred times at random; two hours.
campaign: .venv/ready
	$(BIN)/python -m tests.campaign --kills 100 --places

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

# Compiled once here: where Python may not write beside the packages, every process would compile what it imports again.
.venv/ready: requirements.lock pyproject.toml | $(filter .uv/%,$(UV))
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# The newest versions that pyproject.toml admits. torch keeps no local build suffix, so that any build of it fits.
lock: | $(filter .uv/%,$(UV))
	$(UV) pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --upgrade pyproject.toml -o requirements.lock
	sed -i.bak -E 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' requirements.lock && rm requirements.lock.bak

clean:
	rm -rf .venv .uv
