# Every target brings what it needs first: a fresh clone and `make demo` is all it takes.
.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-cluster check lock clean

BIN := .venv/bin
STAMP := .venv/.setup-done
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 \
	--no-emit-index-url --custom-compile-command "make lock"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## bring everything that is needed to this machine (.venv and system packages)

$(STAMP): requirements-dev.txt scripts/setup.sh
	@bash scripts/setup.sh
	@touch $@

demo: setup ## start the sandbox and run its experiments (ARGS="--help" lists the options)
	$(BIN)/python manage.py demo $(ARGS)

dev: setup ## start the sandbox, web server and workers, and run nothing
	$(BIN)/python manage.py demo --no-runs $(ARGS)

test: setup ## run the tests (ARGS="-k name" chooses)
	$(BIN)/python -m pytest $(ARGS)

test-cluster: setup ## build a Kubernetes (Go, minutes the first time) and run the tests that need it
	@bash scripts/cluster-tools.sh
	$(BIN)/python -m pytest -m cluster $(ARGS)

# The settings demand a key, and migrations are compared without anyone's database.
check: export SECRET_KEY := $(shell head -c 48 /dev/urandom | base64 | tr -d '\n')
check: export DATABASE_URL := sqlite::memory:
check: setup ## lint, format, types, import walls, Django's checks, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy chaosweb experiments drivers demo bench docker
	$(BIN)/lint-imports
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

lock: setup ## rewrite requirements*.txt and tests/tools/go.txt from the .in files (ARGS=--upgrade takes newer ones)
	$(COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) $(ARGS) tests/tools/go.in -o tests/tools/go.txt

clean: ## remove caches and collected files (.venv, .env and var/ stay)
	rm -rf staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
