# From a bare machine with Python 3.11 to stems (`make demo`) and to tested code (`make test`).
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin

.PHONY: demo test check tests test-openvino install install-dev clean

demo: install
	$(RUN)/stemwise separate examples/example_song.mp3 -o out
	@echo
	@echo "The stems are in out/example_song/: $$(cd out/example_song && echo *)"

test: check tests

check: install-dev
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/codespell
	$(RUN)/mypy

tests: install-dev
	$(RUN)/pytest

test-openvino: install-dev
	$(RUN)/pip install --quiet --constraint constraints.txt openvino
	$(RUN)/pytest -m "slow or not slow" tests/test_export.py

install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt $(VENV)/bin/python
	$(RUN)/pip install --quiet --constraint constraints.txt torch
	$(RUN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed recipes/corpus/requirements.txt
	$(RUN)/pip install --quiet --constraint constraints.txt $$($(RUN)/python tools/dev_requirements.py) \
		--requirement recipes/corpus/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) dist out
