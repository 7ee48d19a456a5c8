# Every target is one line you can also type by hand. `make setup` first; the others use .venv when it is there.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

.PHONY: setup format lint types test test-fast test-all docs smoke bench demo

setup:      ; python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev]'
format:     ; $(PYTHON) -m ruff format . && $(PYTHON) -m ruff check --fix .
lint:       ; $(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .
types:      ; $(PYTHON) -m mypy
test:       ; $(PYTHON) -m pytest -q
test-fast:  ; $(PYTHON) -m pytest -q -m "not slow"
test-all:   ; KGCRS_EXAMPLES=100 $(PYTHON) -m pytest -q -m "slow or not slow"
docs:       ; $(PYTHON) docs/make_equations.py
smoke:      ; $(PYTHON) -m train.kgensam
bench:      ; $(PYTHON) -m eval.speed
demo:       ; $(PYTHON) -m kgcrs.demo
