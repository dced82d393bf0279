# Two commands on a fresh machine with Python >= 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
# Slicer embeds Python 3.12; its real MRML library is tested where that Python is found.
PYTHON312 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python3.12) $(shell command -v python3.12 2>/dev/null))
RUN = $(VENV)/bin/python

demo: $(VENV)/.core
	$(RUN) -m MultiRaterSegLib demo demo_out

test: $(VENV)/.all $(VENV)-slicer/.tested
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest $(PYTEST)

test-slicer: $(VENV)-slicer/.installed
	$(VENV)-slicer/bin/python -m pytest Testing/slicer $(PYTEST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The lock of versions is the stamp's only dependency beside the project's own: edit either and it installs again.
$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.all: $(VENV)/.core
	$(RUN) -m pip install -q -c constraints.txt -e '.[train,text,dicom,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-slicer demo_out

.PHONY: demo test test-slicer clean
