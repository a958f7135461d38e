# The few things people do; CMake does the work (cmake --list-presets shows the other builds).
.PHONY: help bootstrap configure build demo results test venv test-python test-torch2 docs paper test-docs playground test-playground clean
.DEFAULT_GOAL := help

help:
	@echo "make bootstrap    install what is missing from Debian"
	@echo "make build        build the program, build/grapes, and the library; no tests"
	@echo "make demo         compare GRAPES with backpropagation and three controls on Fashion-MNIST (minutes)"
	@echo "make results      write the tables of docs/ from the records in results/"
	@echo "make test         build everything, and run every test"
	@echo "make test-python  test torch_grapes with PyTorch from PyPI, and Grapes' files with readers from there, in build/venv"
	@echo "make test-torch2  test the library with PyTorch 2.13 from PyPI, in build/venv and build-torch2"
	@echo "make playground   compile the playground of the site, docs/playground/playground.js"
	@echo "make test-playground  compare the playground with torch_grapes, and use it in a browser"
	@echo "make docs         write the documentation as a site, build/site/index.html"
	@echo "make paper        write the note about the study, docs/report.pdf"
	@echo "make test-docs    the same, and look at it with Chromium: accessibility, search, phones"
	@echo "make clean        remove build/ and build-torch2/"

bootstrap:
	@scripts/bootstrap

configure: bootstrap  # without the warnings of LibTorch 2, which names a library, kineto, that it does not ship
	@cmake --preset release --log-level=ERROR >/dev/null

build: configure
	@cmake --build --preset program

demo: build
	@build/grapes run experiments/demo.toml

results: build
	@tools/results.py write

test: configure
	@cmake --build --preset release
	@tests/run.py release

venv:
	@scripts/bootstrap --with-python
	@test -d build/venv || python3 -m venv build/venv

test-python: build venv
	@build/venv/bin/pip install -qq --disable-pip-version-check -r python/tests/requirements.txt -r tests/readers/requirements.txt
	@build/venv/bin/pip install -qq --disable-pip-version-check --no-deps -r tests/readers/simulators.txt
	@build/venv/bin/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@build/venv/bin/check-jsonschema -q --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	@GRAPES=$(CURDIR)/build/grapes build/venv/bin/python tests/readers/readers_test.py
	@GRAPES=$(CURDIR)/build/grapes OMP_NUM_THREADS=1 build/venv/bin/python tests/readers/rliable_test.py
	@cmake --build build --target grapes_statistics
	@GRAPES_STATISTICS=$(CURDIR)/build/tests/grapes_statistics OPENBLAS_NUM_THREADS=1 build/venv/bin/python tests/statistics_test.py
	@GRAPES=$(CURDIR)/build/grapes OMP_NUM_THREADS=1 build/venv/bin/python tests/readers/onnx_test.py
	@GRAPES=$(CURDIR)/build/grapes OMP_NUM_THREADS=1 build/venv/bin/python tests/readers/simulators_test.py
	@GRAPES=$(CURDIR)/build/grapes OMP_NUM_THREADS=1 build/venv/bin/python tests/readers/tonic_test.py
	@PATH=$(CURDIR)/build:$$PATH OMP_NUM_THREADS=1 build/venv/bin/python -m pytest -q -rs -n 2 -p no:cacheprovider --show-capture=no -W ignore python/tests
	@build/venv/bin/python tests/docs.py docs/python.md build
	@build/venv/bin/python tests/docs.py docs/onnx.md build

test-torch2: venv
	@build/venv/bin/pip install -qq --disable-pip-version-check -r python/tests/requirements.txt
	@cmake --preset torch2 --log-level=ERROR >/dev/null
	@cmake --build --preset library
	@tests/run.py torch2 -R '^(base|kernels|analog|core|credit|nn|optim|example)\.'

build/site-venv/installed: tools/site/requirements.txt
	@scripts/bootstrap --with-docs
	@python3 -m venv build/site-venv
	@build/site-venv/bin/pip install -qq --disable-pip-version-check -r $<
	@touch $@

paper: build/site-venv/installed
	@build/site-venv/bin/python -c "import typst; typst.compile('docs/report/report.typ', output='docs/report.pdf', root='docs')"

docs: build/site-venv/installed playground paper  # not with --quiet, with which MkDocs counts no warnings
	@NO_MKDOCS_2_WARNING=1 build/site-venv/bin/mkdocs build --strict
	@python3 tests/site_test.py . build/site

test-docs: docs
	@scripts/bootstrap --with-browser
	@build/site-venv/bin/python tests/site_browser_test.py build/site

playground/node_modules/.package-lock.json: playground/package-lock.json
	@scripts/bootstrap --with-node
	@cd playground && npm ci --silent --no-audit --no-fund

playground: playground/node_modules/.package-lock.json
	@cd playground && npm run --silent check && npm run --silent build

test-playground: playground venv
	@scripts/bootstrap --with-browser
	@build/venv/bin/pip install -qq --disable-pip-version-check -r python/tests/requirements.txt
	@build/venv/bin/python playground/tests/reference.py build/playground-cases.json
	@cd playground && npm run --silent build-tests && GRAPES_CASES=$(CURDIR)/build/playground-cases.json node --test build/

clean:
	rm -rf build build-torch2
