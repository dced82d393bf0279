# Two commands on a fresh machine with Python >= 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

# The shipped model on the bundled scan; results and a picture in demo_out/.
demo: $(VENV)/.demo
	$(RUN) -m MultiRaterSegLib demo demo_out

# Lint and every fast test, those on Slicer's real MRML library included, in two processes. PYTEST=--slow adds the slow ones.
test: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile $(PYTEST)

# Pictures of the Slicer module's panel and slice views in docs/pictures, from the real widget, worker and model.
screenshots: $(VENV)/.test
	$(RUN) Testing/slicer/screenshots.py

# A stamp is older than pyproject.toml or constraints.txt after an edit, and then it installs again.
$(VENV)/.demo: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(RUN) -m pip install -q -c constraints.txt -e '.[train,text,dicom,npc,slicer-test,dev]'
	touch $@

$(RUN):
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) demo_out

.PHONY: demo test screenshots clean
