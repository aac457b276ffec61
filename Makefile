# Every target does its own set-up: Python 3.11 or newer, make, and a package index are all that is needed.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready

.PHONY: demo models test test-gpu bench docs readme lab clean

demo: $(READY)        ## train a small AiT on a CPU and draw what it learned, in runs/demo
	$(VENV)/bin/ait_demo

models: $(READY)      ## the two small models that come with the project, trained again where models/ lacks them; hours on a CPU
	$(VENV)/bin/ait_runs tables/models.toml --out models --results runs

test: $(READY)        ## every notebook, a fresh import of every module, and the site in a browser
	$(PY) tools/test.py

test-gpu: $(READY)    ## the same with the cells marked cuda, on a GPU
	$(PY) tools/test.py --gpu

bench: $(READY)       ## the speed table, on a GPU if there is one, in runs/bench.json
	$(VENV)/bin/ait_bench

docs: $(READY)        ## the site, in _docs/index.html; mathematics needs npm, once
	$(PY) tools/docs.py

readme: $(READY)      ## README.md from nbs/index.ipynb
	$(PY) tools/readme.py

lab: $(READY)         ## JupyterLab
	$(VENV)/bin/jupyter lab nbs $(if $(filter 0,$(shell id -u)),--allow-root)

clean:                ## what the other targets made, except results of runs
	rm -rf $(VENV) _docs _proc _proc_small _katex build dist *.egg-info

$(READY): constraints.txt settings.ini setup.py
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "$(PYTHON) is %d.%d; ait_nb needs Python 3.11 or newer: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q -c constraints.txt torch torchvision
	$(PY) -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@
