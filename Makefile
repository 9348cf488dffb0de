# Each target is one call into dev/, whose __main__.py is the place to start reading. Variables: see CONTRIBUTING.md.
PYTHON ?= python3

.PHONY: help demo test unit bench lint setup odoo postgres lock
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile
demo: ## set everything up and serve a demo database until Ctrl-C
	@$(PYTHON) -m dev demo
test: ## lint and every test; ARGS="tests/models -k access" for some of them
	@$(PYTHON) -m dev test $(ARGS)
unit: ## the tests that need neither a database nor a server; ARGS as above
	@$(PYTHON) -m dev unit $(ARGS)
bench: ## the benchmarks; ARGS="stream" for some of them
	@$(PYTHON) -m dev bench $(ARGS)
lint: ## the linter and the checks of XML and JavaScript
	@$(PYTHON) -m dev lint
setup: ## environment, Odoo, PostgreSQL and the demo database, without serving it
	@$(PYTHON) -m dev setup
odoo: ## Odoo's own command line: ARGS="shell", ARGS="-u ai_discuss --stop-after-init", …
	@$(PYTHON) -m dev odoo $(ARGS)
postgres: ## keep PostgreSQL running until Ctrl-C, to use odoo-bin or psql by hand
	@$(PYTHON) -m dev postgres
lock: ## write requirements/*.txt anew, with the newest versions that the *.in files allow
	@$(PYTHON) -m dev lock
