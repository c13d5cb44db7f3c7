# Every target makes .venv and installs what it needs first, so each works on a fresh machine with Python and make.

PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell \
	$(p) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# On macOS, see setup.cfg.
INSTALL_TFRS = @test $$(uname) != Darwin || $(INSTALL) --no-deps 'tensorflow-recommenders>=0.7.7'
PYTEST = $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: help study test test-fast setup lint bench bench-truth beam-engines siege reproduction notebooks resolve docs clean

help: ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

study: .venv/installed ## the default study on synthetic clicks, from nothing to report.html
	$(BIN)/tfrs-scaling study tuner_configs/study.yaml

test: .venv/installed-for-tests ## every test
	$(PYTEST)

test-fast: .venv/installed-for-tests ## the tests that train nothing and open no browser
	$(PYTEST) -m 'not slow and not browser'

setup: .venv/installed-for-tests ## .venv with all that the tests need

lint: .venv/installed-for-tests ## formatting, style, types, the Dockerfile, and which package may import which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

# NAME=dlrm runs dlrm_benchmark.py alone, NAME=dlrm/rows the benchmarks in it whose names contain "rows"; FLAGS are its.
bench: .venv/installed-for-tests ## speed, in 5 minutes; NAME=dlrm or NAME=dlrm/rows: a part of it
	$(call benchmarks,speed)

bench-truth: .venv/installed-for-tests ## how often intervals and advice are right, in hours; NAME=advise: a part of it
	$(call benchmarks,truth)

define benchmarks
@for file in tests/benchmarks/$(1)/$(or $(firstword $(subst /, ,$(NAME))),*)_benchmark.py; do \
	test -e $$file || { echo "no $$file; there are: $(notdir $(wildcard tests/benchmarks/$(1)/*_benchmark.py))"; exit 1; }; \
	$(BIN)/python -m $$(echo $${file%.py} | tr / .) --benchmark_filter=$(or $(word 2,$(subst /, ,$(NAME))),.) $(FLAGS) || exit 1; \
done
endef

siege: .venv/installed-for-tests ## kills, full disks, limits and broken files for a quarter of an hour; FLAGS=--seed=7
	$(BIN)/python -m tests.siege $(FLAGS)

beam-engines: .cache/beam-engines/flink .cache/beam-engines/spark ## Flink and Spark with Beam's runners, in .cache, for the tests that need them; with Java 11 or 17 and Maven

# Beam's job servers are made of these files. The folder is there only if they all are.
.cache/beam-engines/%: tests/beam_engines/pom.xml
	@rm -rf $@.partial
	@mvn --quiet --batch-mode --file $< --activate-profiles $* \
		dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$@.partial
	@rm -rf $@ && mv $@.partial $@

# With NAME, the runs themselves: the commands of that study in tuner_configs/reproduction/studies.yaml.
reproduction: .venv/installed ## REPRODUCTION.md from its run tables; FLAGS=--figures: these too; NAME=flights DATA=FOLDER: a study's runs
	$(if $(NAME),commands="$$($(BIN)/python -m tfrs_scaling.fit.report.reproduction --commands $(NAME))" && \
		PATH="$(CURDIR)/$(BIN):$$PATH" DATA="$(DATA)" sh -euxc "$$commands",\
		$(BIN)/python -m tfrs_scaling.fit.report.reproduction $(FLAGS))

# What they hold already is replaced.
notebooks: ## REPO=owner/name: write the address on GitHub into the notebooks, and badges into the README
	@case "$(REPO)" in ?*/?*) ;; *) echo "say which repository: make notebooks REPO=owner/name"; exit 1;; esac
	sed -i.old -E 's#(REPOSITORY = \\")[^\]*#\1https://github.com/$(REPO)#' colab/*.ipynb
	sed -i.old -E 's#^(\| \[([a-z_]+)\]\(colab/[a-z_]+\.ipynb\))[^|]*#\1 [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/$(REPO)/blob/main/colab/\2.ipynb) #' README.md
	@rm README.md.old colab/*.old

# No wheel is built, and of what has none the metadata come from its source.
resolve: .venv/bin/python ## whether every extra finds its packages, for Python 3.11 to 3.13, on Linux and macOS
	@$(INSTALL) uv
	@for python in 3.11 3.12 3.13; do for system in x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin; do \
		for extra in beam tensorflow gpu test notebook; do \
			$(BIN)/uv pip compile --quiet --output-file /dev/null --python-version $$python --python-platform $$system \
				--extra $$extra setup.cfg && echo "$$python $$system [$$extra]" || exit 1; \
		done; \
	done; done

docs: .venv/bin/python ## the site of READMEs, notebooks and docstrings, in site/
	@$(INSTALL) 'mkdocs-material>=9.6,<10' 'mkdocstrings[python]>=0.29' 'mkdocs-jupyter>=0.25'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean: ## remove .venv and caches
	rm -rf .venv build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "needs Python 3.11, 3.12 or 3.13; say where with make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	@echo "installing tfrs_scaling into .venv (a minute or two)"
	@$(INSTALL) --editable '.[tensorflow]'
	$(INSTALL_TFRS)
	@touch $@

.venv/installed-for-tests: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	@echo "installing tfrs_scaling with its test tools into .venv (a minute or two)"
	@$(INSTALL) --editable '.[test]'
	$(INSTALL_TFRS)
	@touch .venv/installed $@
