# The few things people do; CMake does the work (cmake --list-presets shows the other builds).
.PHONY: help bootstrap configure build demo test test-python clean
.DEFAULT_GOAL := help

help:
	@echo "make bootstrap    install what is missing from Debian"
	@echo "make build        build the program, build/grapes, and the library; no tests"
	@echo "make demo         compare GRAPES with backpropagation and three controls on Fashion-MNIST (minutes)"
	@echo "make test         build everything, and run every test"
	@echo "make test-python  hold the files Grapes writes against the readers from PyPI, in build/venv; after make build"
	@echo "make clean        remove build/"

bootstrap:
	@scripts/bootstrap

configure: bootstrap
	@cmake --preset release --log-level=WARNING >/dev/null

build: configure
	@cmake --build --preset program

demo: build
	@build/grapes run experiments/demo.toml

test: configure
	@cmake --build --preset release
	@tests/run.py release

test-python: build
	@scripts/bootstrap --with-python
	@test -d build/venv || python3 -m venv build/venv
	@build/venv/bin/pip install -qq --disable-pip-version-check -r tests/readers/requirements.txt
	@GRAPES=$(CURDIR)/build/grapes build/venv/bin/python tests/readers/readers_test.py

clean:
	rm -rf build
