# `make search` and `make test` need Python 3.11 or later, make and a C compiler; nothing else.
.PHONY: search test slurm-test caffe lint types format golden check clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
ROOMS := genome templates backends search runner tools
RUN ?= runs/digits-$(shell date +%Y%m%d-%H%M%S)

search: $(READY) ## a search on handwritten digits, over MPI: a master and two workers
	$(BIN)/ribosome search examples/digits.toml -o $(RUN) --mpi 3 --set search.evaluations=80 \
		--set runner.trials_per_gpu=2

test: $(READY) ## every test
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

slurm-test: $(READY) ## searches on a real Slurm, started here for it; as root on Debian
	@for program in munged slurmctld slurmd; do command -v $$program >/dev/null || missing=1; done; \
	if [ "$$(id -u)" != 0 ]; then echo "slurm-test starts Slurm's daemons: run it as root"; exit 1; fi; \
	if [ -n "$$missing" ]; then echo "installing Debian's slurm-wlm and munge"; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge; fi
	RIBOSOME_SLURM=1 $(BIN)/python -m pytest tests/slurm $(ARGS)

caffe: $(READY) ## a real Caffe, CPU only, kept in the user's cache, for the tests that need one
	$(BIN)/python -m ribosome.tools.caffe_build $(ARGS)

lint: $(READY) types ## ruff, its formatter, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell $(ROOMS) tests bench docs examples *.md

types: $(READY) ## mypy --strict, on links that look like the installed package
	rm -rf build/types && mkdir -p build/types/ribosome
	for room in $(ROOMS); do ln -s ../../../$$room build/types/ribosome/$$room; done
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p ribosome

format: $(READY) ## mend what ruff can mend
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

golden: $(READY) ## write the golden files anew
	$(BIN)/python -m tests.golden_genomes
	$(BIN)/python -m tests.golden_jobscripts

check: test lint ## all that decides whether a change is good

clean: ## remove what make made; runs stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11: name a newer one, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,mpich,test,lint,bench]'
	touch $@
