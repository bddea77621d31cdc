# The book's commands. `make help` lists them. Set-up happens by itself, in .venv.
PROFILE ?= smoke
SEED    ?= 0
DEVICE  ?= auto
PORT    ?= 8000
PYTHON  ?= python3
PY      := .venv/bin/python

known   := $(addsuffix =%,PROFILE SEED DEVICE PORT PYTHON ONLY FRESH NAME CONFIRM RECORD_TIMES \
             STRICT_RECORDS N AGAIN)
unknown := $(filter-out $(known),$(MAKEOVERRIDES))
ifneq ($(unknown),)
$(error unknown setting $(unknown); `make help` lists those that exist)
endif

# $(call given,NAME,--option): the option, where NAME was set by the caller and not by default
given = $(if $(filter command environment,$(origin $1)),$2 $($1))

.DEFAULT_GOAL := help
.PHONY: help setup book test look lint mutants reproduce student grader crate release data serve clean

help:
	@echo "make book       execute the chapters and build the pages in _build/html"
	@echo "                  PROFILE=smoke|standard|full  SEED=0  DEVICE=auto|cpu|cuda|mps"
	@echo "                  ONLY=07_maam_net  FRESH=1 (run again what has not changed)"
	@echo "make test       run the tests"
	@echo "make look       open every built page in Chromium, light and dark, wide and narrow, and check it"
	@echo "make lint       ruff, pyright, the layers of imports; zizmor and actionlint"
	@echo "make mutants    small faults made on purpose: which do the tests see? (N=100 SEED=0 AGAIN=1)"
	@echo "make reproduce  run an experiment: NAME=maam-ped2-standard (PROFILE= SEED= CONFIRM=1)"
	@echo "make student    the chapters without solutions, in _build/student"
	@echo "make grader     their checks as zips for Otter-Grader, in _build/grader"
	@echo "make crate      records and ledger as an RO-Crate, in _build/crate"
	@echo "make release    offline book (zip and PDF), crate, data sets as Croissant, sums, in _build/release"
	@echo "make data       download the data sets"
	@echo "make serve      show the built book at http://localhost:8000 (PORT=)"
	@echo "make clean      remove everything that was built (keeps .venv and data)"

# The stamp is written last: an interrupted set-up is taken up again.
setup: .venv/ready
.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This needs Python 3.11 or later. If you have one, say which: make PYTHON=python3.12"; exit 2; }
	@echo "Setting up .venv (some minutes the first time; PyTorch is large) ..."
	@$(PYTHON) -m venv .venv || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt install python3-venv"; exit 2; }
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Set-up is complete."

book: setup
	@$(PY) -m vadlib.press.publish --set PROFILE=$(PROFILE) --set SEED=$(SEED) --set DEVICE=$(DEVICE) \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(FRESH),--fresh) \
	  $(if $(RECORD_TIMES),--record-times) $(if $(STRICT_RECORDS),--strict-records)

test: setup
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --ignore=tests/test_browser.py

look: setup
	@$(PY) -m pytest -n 2 tests/test_browser.py

lint: setup
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m pyright vadlib
	@.venv/bin/lint-imports --no-logo --no-cache
	@.venv/bin/zizmor --offline --no-progress --quiet --min-severity medium .github
	@if command -v actionlint > /dev/null; then actionlint; \
	  else echo "actionlint is not here (its package fetches a program); the workflow runs it"; fi

mutants: setup
	@OMP_NUM_THREADS=1 $(PY) tools/mutants.py --number $(or $(N),100) --seed $(SEED) \
	  $(if $(AGAIN),--again)

reproduce: setup
	@$(if $(NAME),,echo "Say which: make reproduce NAME=...; the names are:"; $(PY) -m vadlib status; exit 2)
	@$(PY) -m vadlib reproduce $(NAME) $(call given,PROFILE,--profile) $(call given,SEED,--seed) \
	  --device $(DEVICE) $(if $(CONFIRM),--confirm)

student grader: setup
	@$(PY) -m vadlib.press.exercises $@

crate: setup
	@$(PY) -m vadlib.press.crate

release: book
	@$(PY) -m vadlib.press.release

data: setup
	@$(PY) -m vadlib data

serve: setup
	@test -f _build/html/index.html || { echo "There is no book yet: make book"; exit 2; }
	@echo "The book is at http://localhost:$(PORT) (Ctrl-C ends it)"
	@$(PY) -m http.server $(PORT) --directory _build/html

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis vadlib.egg-info
	find vadlib tests -name __pycache__ -prune -exec rm -rf {} +
