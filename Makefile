# The few things people do; CMake does the work (cmake --list-presets shows the other builds).
.PHONY: help bootstrap configure build demo test clean
.DEFAULT_GOAL := help

help:
	@echo "make bootstrap   install what is missing from Debian"
	@echo "make build       build the program, build/grapes, and the library; no tests"
	@echo "make demo        compare GRAPES with backpropagation and three controls on Fashion-MNIST (minutes)"
	@echo "make test        build everything, and run every test"
	@echo "make clean       remove build/"

bootstrap:
	@scripts/bootstrap

configure: bootstrap
	@cmake --preset release --log-level=WARNING

build: configure
	@cmake --build --preset program

demo: build
	@build/grapes run experiments/demo.toml

test: configure
	@cmake --build --preset release
	@tests/run.py release

clean:
	rm -rf build
