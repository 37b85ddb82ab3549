# SPDX-License-Identifier: GPL-2.0

VERSION := 0.1.0
KERNELS := 6.1 6.12

KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
DESTDIR ?=
MAKEFLAGS += --no-print-directory
# No warning passes; KCFLAGS= lets them.
KCFLAGS ?= -Werror
export KCFLAGS

CACHE := $(or $(VMTT_CACHE),/var/cache/vmtt)
TESTING := tools/testing
VM := $(TESTING)/vm/run
# The kernel that vm-shell, demo and bench run on
KERNEL ?= 6.1
TESTS ?=
SETUP := $(TESTING)/setup.sh

# The running kernel where it can be built for, the two under test elsewhere
all: tools $(if $(wildcard $(KDIR)/Makefile),module,modules)

## Building

help:
	@echo 'make                  the tools, and the modules for the running kernel (or both test kernels)'
	@echo 'make modules          the modules for each test kernel, in out/6.1 and out/6.12 (also modules-6.1 ...)'
	@echo 'make tools            the user space tools'
	@echo 'make install          for the running kernel (KDIR, PREFIX, DESTDIR)'
	@echo 'make dkms-install     the modules as DKMS source, built again for each new kernel'
	@echo
	@echo 'make check            everything below marked *, and a verdict; make check-long takes longer'
	@echo 'make sparse *, style *, unit *'
	@echo 'make selftests *      the kselftests in a VM of each kernel (KERNELS="6.1", TESTS="name ...")'
	@echo 'make check-debug      the kselftests on a kernel with KASAN, lockdep, kmemleak, UBSAN'
	@echo 'make fuzz             libFuzzer on the parsers'
	@echo 'make bench            all benchmarks; make bench-cdp those of dm-cdp; results in out/bench'
	@echo '                      (a ratio below its floor fails; QUICK=1 is a shorter run)'
	@echo 'make demo             a disaster and how it is undone, in a VM'
	@echo 'make vm-shell         a shell in the test VM (KERNEL=6.12)'
	@echo 'make setup            what all of this needs, on Debian 12 as root'

setup:
	@$(SETUP)

# kbuild leaves its files beside the sources, so each kernel has its own copy
# of them: mirror FOLDER
define mirror
	@mkdir -p $(1)
	@rsync -rlt --delete --exclude='*.mod.c' --exclude=out --include='*/' --include='*.[ch]' \
		--include=Kbuild --exclude='*' --prune-empty-dirs \
		Kbuild $(wildcard dm-cdp kvm-hotsnap include) $(1)/
endef

MODULES := $(KERNELS:%=modules-%)
SPARSE := $(KERNELS:%=sparse-%)

modules: $(MODULES)
sparse: $(SPARSE)

$(MODULES) modules-debug: modules-%: setup
	$(call mirror,out/$*)
	@$(MAKE) -C $(CACHE)/$*/build M=$(CURDIR)/out/$* W=1 modules
	@mkdir -p out/test-modules/$*
	@cp -u $(wildcard $(TESTING)/selftests/*/module/*) out/test-modules/$*/
	@$(MAKE) -C $(CACHE)/$*/build M=$(CURDIR)/out/test-modules/$* W=1 modules

$(SPARSE): sparse-%: modules-%
	@$(MAKE) -C $(CACHE)/$*/build M=$(CURDIR)/out/$* W=1 C=2 CF=-Wsparse-error modules

# The module for the kernel in KDIR
module:
	$(call mirror,out/host)
	@$(MAKE) -C $(KDIR) M=$(CURDIR)/out/host modules

tools:
	@$(MAKE) -C userspace

## Testing

CHECKPATCH := $(CACHE)/6.12/scripts/checkpatch.pl --no-tree --root=. --strict --terse --quiet --show-types \
	--no-summary --max-line-length=100
# inttypes.h's PRIu64 is camel case to checkpatch; file paths matter in patches only
IGNORE := CAMELCASE,FILE_PATH_CHANGES
# User space has neither strscpy nor __printf
IGNORE_USER := $(IGNORE),STRCPY,PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_KERNEL_TYPES

style: setup
	@find dm-cdp kvm-hotsnap include -name '*.[ch]' -not -path '*/compat/*' -not -name trace.h 2>/dev/null | \
		sort | xargs -r $(CHECKPATCH) --ignore $(IGNORE) --file
	@find dm-cdp kvm-hotsnap -name trace.h | \
		xargs -r $(CHECKPATCH) --ignore $(IGNORE),OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT --file
	@find dm-cdp kvm-hotsnap -path '*/compat/*.[ch]' 2>/dev/null | sort | \
		xargs -r $(CHECKPATCH) --ignore $(IGNORE),LINUX_VERSION_CODE,CONSTANT_COMPARISON --file
	@find $(TESTING)/selftests/*/module -name '*.[ch]' | sort | xargs -r $(CHECKPATCH) --ignore $(IGNORE) --file
	@find userspace -name '*.[ch]' -not -path '*/kshim/*' 2>/dev/null | sort | \
		xargs -r $(CHECKPATCH) --ignore $(IGNORE_USER) --file

unit:
	@CMOCKA_MESSAGE_OUTPUT=tap $(MAKE) -C $(TESTING)/unit run

fuzz:
	@$(MAKE) -C $(TESTING)/fuzz run

check:
	@$(TESTING)/check $(TESTS)

check-long:
	@$(TESTING)/check --long $(TESTS)

check-debug:
	@$(TESTING)/check --debug $(TESTS)

SUITES := $(patsubst %/Makefile,%,$(wildcard $(TESTING)/selftests/*/Makefile))

selftest-programs:
	@for suite in $(SUITES); do $(MAKE) -C $$suite || exit; done

selftests: modules tools selftest-programs
	@for k in $(KERNELS); do \
		$(VM) --kernel $$k --memory 2048 --disk 2G --disk 4G --timeout 2400 -- \
			$(TESTING)/selftests/run $(TESTS) || exit; \
	done

bench: bench-cdp

bench-cdp: modules tools
	@$(TESTING)/bench/cdp.sh

demo: modules-$(KERNEL) tools
	@KERNEL=$(KERNEL) $(TESTING)/demo/demo

vm-shell: modules-$(KERNEL) tools
	@$(VM) --kernel $(KERNEL) --memory 2048 --disk 2G --disk 4G --no-fail-on-warning --shell

## Installing

install: all install-modules install-docs
	@$(MAKE) -C userspace install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

install-modules: module
	@$(MAKE) -C $(KDIR) M=$(CURDIR)/out/host modules_install CONFIG_MODULE_SIG_ALL= DEPMOD=true \
		$(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR))
	@[ -n '$(DESTDIR)' ] || depmod $$($(MAKE) -s -C $(KDIR) kernelrelease)

install-docs:
	@for page in $(wildcard Documentation/man/*.[1-8]); do \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} $$page || exit; \
	done
	@for file in $(wildcard userspace/completion/*); do \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/bash-completion/completions $$file || exit; \
	done

DKMS := /usr/src/dm-cdp-$(VERSION)

dkms-install: setup
	@rm -rf $(DESTDIR)$(DKMS)
	$(call mirror,$(DESTDIR)$(DKMS))
	@for k in $(KERNELS); do \
		install -D -m 644 -t $(DESTDIR)$(DKMS)/headers/$$k/persistent-data \
			$(CACHE)/$$k/persistent-data/*.h || exit; \
	done
	@printf '%s\n' 'PACKAGE_NAME="dm-cdp"' 'PACKAGE_VERSION="$(VERSION)"' 'AUTOINSTALL="yes"' \
		'MAKE[0]="make -C $$kernel_source_dir M=$$dkms_tree/$$PACKAGE_NAME/$$PACKAGE_VERSION/build modules"' \
		'BUILT_MODULE_NAME[0]="dm-cdp"' 'BUILT_MODULE_LOCATION[0]="dm-cdp/"' \
		'DEST_MODULE_LOCATION[0]="/updates"' \
		'BUILT_MODULE_NAME[1]="kvm-hotsnap"' 'BUILT_MODULE_LOCATION[1]="kvm-hotsnap/"' \
		'DEST_MODULE_LOCATION[1]="/updates"' \
		'BUILD_EXCLUSIVE_KERNEL="^6\.(1|12)\."' > $(DESTDIR)$(DKMS)/dkms.conf
	@if [ -z '$(DESTDIR)' ] && command -v dkms >/dev/null; then \
		dkms remove dm-cdp/$(VERSION) --all 2>/dev/null; dkms install dm-cdp/$(VERSION) --force; \
	else \
		echo 'DKMS source in $(DESTDIR)$(DKMS); dkms install dm-cdp/$(VERSION) builds it'; \
	fi

clean:
	rm -rf out
	@$(MAKE) -C $(TESTING)/unit clean

.PHONY: all help setup modules sparse $(MODULES) modules-debug $(SPARSE) module tools style unit fuzz check \
	check-long selftest-programs check-debug selftests bench bench-cdp demo vm-shell install install-modules install-docs \
	dkms-install clean
