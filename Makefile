# Bare `make` lists the targets. As root they just work; otherwise sudo is used where it is needed.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PY := .venv/bin/python
TOOLS := .venv/tools
PYTEST := $(SUDO) $(PY) -m pytest
# One more than cores: tests wait for a third of their time.
WORKERS := $(shell expr 1 + $$(nproc))

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## install what is missing and make .venv; afterwards .venv/bin/natnetd is the command

.venv/ready: tools/setup pyproject.toml
	tools/setup

run: setup ## show natnetd at work in a private lab that leaves this machine's network alone
	$(SUDO) .venv/bin/natnetd lab --config config/natnetd.yaml

lab: setup ## the same, left up for exploring
	$(SUDO) .venv/bin/natnetd lab --config config/natnetd.yaml --keep

test: setup ## every test that needs no second operating system (under five minutes)
	$(PYTEST) -n $(WORKERS)

chaos: setup ## random damage to a real host under the real service: make chaos SEED=n STEPS=n
	cd tests && $(SUDO) env PYTHONPATH=.. ../$(PY) -m chaos $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS))

neighbours: setup ## the service beside real programs: nftables.service, Docker, ufw, firewalld, ifupdown2, ...
	$(PYTEST) tests/neighbours -rs

boot-test: setup ## the package under a real systemd, Debian 12 and 13 in containers: make boot-test ARGS="-k NAME"
	$(PYTEST) tests/boot -n 2 --dist loadgroup -rs $(ARGS)

emulated-test: ## what this machine's kernel lacks, in an emulated one: make emulated-test ROOTFS=DIR, see tests/emulated
	tests/emulated/run $(ROOTFS) $(ARGS)

monitoring-test: setup ## a real Prometheus scrapes the service: alert rules fire, each query of the dashboard is answered
	tools/setup monitoring
	$(SUDO) env PATH="$(CURDIR)/build/prometheus/usr/bin:$$PATH" $(PY) -m pytest tests/monitoring

docker-test: ## make test in containers of Debian 12 and 13, with Docker or Podman: make docker-test RELEASES=trixie
	tools/docker-test $(RELEASES)

test-newest: setup ## the same with PyPI's newest libraries
	tools/setup newest
	$(SUDO) .venv-newest/bin/python -m pytest -n $(WORKERS)

lint: $(TOOLS) ## ruff, mypy, import-linter
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

$(TOOLS): .venv/ready tools/lint.txt
	tools/setup lint

fmt: $(TOOLS) ## format, and mend what ruff can
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

mutants: setup ## break the code on purpose, line by line, and demand a red test for each
	$(SUDO) $(PY) tools/mutants.py

deb: ## build dist/natnetd_VERSION_all.deb, for Debian 12 and 13, twice: both must be the same bytes
	tools/deb --twice

check: lint test mutants ## everything before a commit

bench: setup ## measure, against alternatives in the same run
	$(SUDO) $(PY) -m bench

clean: ## remove the virtual environments
	rm -rf .venv .venv-newest

.PHONY: help setup run lab test chaos neighbours boot-test emulated-test monitoring-test docker-test test-newest lint fmt mutants deb check bench clean
