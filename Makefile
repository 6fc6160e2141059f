# SPDX-License-Identifier: GPL-2.0-or-later
#
# The front door: no logic here, each target calls scripts/ or tests/run.

.PHONY: help demo check lint setup build trees kernel qemu libvirt luod selftests \
	unit series check-libvirt shell clean

help:
	@echo 'make demo     build all, replace the kernel under a running guest twice, show the table'
	@echo 'make check    build all, lint, unit tests, every scenario (README: how long)'
	@echo 'make lint     checkpatch, kernel-doc, sparse, cppcheck, clang-tidy, shellcheck, ...'
	@echo 'make check-libvirt  all tests of libvirt itself; make check has those that concern us'
	@echo 'make series   build every prefix of the kernel series, live update on and off'
	@echo 'make shell    an emulated host to look around in'
	@echo 'make build    only build (also: kernel, qemu, libvirt, luod, selftests)'
	@echo 'tests/run --list, tests/run NAME...   single scenarios'

setup:
	@scripts/setup

trees: setup
	@scripts/apply linux
	@scripts/apply qemu
	@scripts/apply libvirt

kernel: trees
	@scripts/build-kernel

qemu: trees
	@scripts/build-qemu

libvirt: trees
	@scripts/build-libvirt

luod: trees
	@scripts/build-luod

selftests: kernel
	@scripts/build-selftests

build: kernel qemu libvirt luod selftests

demo: build
	@tests/run --demo

lint: trees
	@scripts/lint

unit: qemu libvirt luod
	@scripts/unit

check: build
	@scripts/check-all

check-libvirt: libvirt
	@scripts/libvirt-tests --all

series: trees
	@scripts/series

shell: build
	@tests/run --shell

clean:
	rm -rf build
