# SPDX-License-Identifier: GPL-2.0
#
# Builds, tests and installs tunfence. No configure step; nothing is written outside build*/.
# A variant of the program is a directory, never a clean: build/ is what is installed, build-test/
# has the fault hooks (TEST=1), build-san/ the sanitizers and every C test (SAN=address,undefined),
# build-fuzz/ clang's fuzzer, sanitizers and coverage.
# Kernel types come from vmlinux/, never from the machine that builds.

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
PKG_CONFIG ?= pkg-config
# Debian keeps it in a directory that is not in everybody's PATH.
BPFTOOL ?= $(firstword $(wildcard $(addsuffix /bpftool,$(subst :, ,$(PATH)) /usr/sbin /sbin)) bpftool)

# ---- what to build -------------------------------------------------------------------------------

VARIANTS := build build-test build-san build-fuzz
B := $(if $(SAN),build-san,$(if $(TEST),build-test,build))

SRC := $(sort $(wildcard user/*.c))
COMMANDS := $(filter user/main.c user/cmd_%.c,$(SRC))
KERNEL := $(shell grep -lsE '<bpf/|skel\.h' $(SRC) /dev/null)
MODULES := $(filter-out $(COMMANDS) $(KERNEL),$(SRC))
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,build/%.bpf.o,$(sort $(wildcard bpf/*.bpf.c)))
SKELETONS := $(BPF_OBJECTS:.bpf.o=.skel.h)
NSS := build/libnss_tunfence.so.2

UNIT_TESTS := $(sort $(wildcard tests/unit/test_*.c))
KERNEL_TESTS := $(sort $(wildcard tests/kernel/test_*.c))
MEASURE := tests/measure/measure.c
BENCH := $(sort $(wildcard tests/bench/*.c))
FUZZ_TARGETS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_MAINS := tests/fuzz/replay.c tests/fuzz/seeds.c
MODEL := tests/model/judge.c
PROOFS := $(sort $(wildcard tests/prove/*.c))
TEST_HELPERS := $(filter-out $(UNIT_TESTS) $(KERNEL_TESTS) $(MEASURE) $(BENCH) $(FUZZ_TARGETS) \
	$(FUZZ_MAINS) $(MODEL) $(PROOFS),$(sort $(wildcard tests/*.c tests/*/*.c)))
VECTOR_PROGRAMS := $(patsubst tests/%.c,build-san/%,$(filter %/test_vectors.c,$(UNIT_TESTS)))
UNIT_PROGRAMS := $(filter-out $(VECTOR_PROGRAMS),$(UNIT_TESTS:tests/%.c=build-san/%))
KERNEL_PROGRAMS := $(KERNEL_TESTS:tests/%.c=build-san/%)
REPLAY_PROGRAMS := $(FUZZ_TARGETS:tests/%.c=build-san/%)
FUZZ_PROGRAMS := $(FUZZ_TARGETS:tests/%.c=build-fuzz/%)

# The checkout says its version; a tarball carries it in a file. Root may look at a user's checkout.
GIT := git -c safe.directory='$(CURDIR)'
VERSION := $(shell { test -e .git && $(GIT) describe --always --dirty || cat VERSION || \
	echo unknown; } 2>/dev/null)
VERSIONED := $(shell grep -ls TUNFENCE_VERSION $(SRC) /dev/null)

# ---- flags: what the user says comes last and so wins --------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wvla -Wstrict-prototypes \
	-Wswitch-enum -Wformat=2 -Wundef
# The lookups share a signature with their native counterparts, which use all of it.
BPF_WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wshadow -Wvla -Wstrict-prototypes -Wundef
WERROR_FLAG := $(if $(filter-out 0,$(WERROR)),-Werror)
REPRODUCIBLE := -ffile-prefix-map=$(CURDIR)=.
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection
comma := ,
SANITIZERS := $(or $(SAN),address$(comma)undefined)

cflags-build := -O2 $(HARDENING)
cflags-build-test := $(cflags-build) -DTUNFENCE_TEST_HOOKS
# Instrumented code misleads gcc's flow analysis; build/ has these warnings on.
cflags-build-san := -O1 -fsanitize=$(SANITIZERS) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DTUNFENCE_TEST_HOOKS -Wno-format-truncation -Wno-maybe-uninitialized
ldflags-build-san := -fsanitize=$(SANITIZERS)
# gcc has no libFuzzer, and its coverage is another. clang warns of more, so that is no error here.
fuzz-flags := -fno-sanitize-recover=all -fprofile-instr-generate -fcoverage-mapping
cflags-build-fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined $(fuzz-flags) \
	-fno-omit-frame-pointer -DTUNFENCE_TEST_HOOKS -Wno-error
ldflags-build-fuzz := -fsanitize=fuzzer,address,undefined $(fuzz-flags)
build-fuzz/%: private CC := $(CLANG)

LIBS := libbpf libmnl inih jansson
TEST_LIBS := cmocka
MISSING_LIBS := $(filter-out $(shell for lib in $(LIBS) $(TEST_LIBS); do \
	$(PKG_CONFIG) --exists $$lib && echo $$lib; done 2>/dev/null),$(LIBS) $(TEST_LIBS))
PRESENT_LIBS := $(filter-out $(MISSING_LIBS),$(LIBS))
LIB_CFLAGS := $(if $(PRESENT_LIBS),$(shell $(PKG_CONFIG) --cflags $(PRESENT_LIBS)))
LIB_LDLIBS := $(if $(PRESENT_LIBS),$(shell $(PKG_CONFIG) --libs $(PRESENT_LIBS))) -lresolv
TEST_LDLIBS := $(if $(filter cmocka,$(MISSING_LIBS)),,$(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null))

variant = $(firstword $(subst /, ,$@))
ALL_CPPFLAGS = -Iinclude -isystem build $(LIB_CFLAGS)
ALL_CFLAGS = -std=gnu11 -g -fPIE $(WARNINGS) $(WERROR_FLAG) $(REPRODUCIBLE) \
	$(cflags-$(variant)) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(ldflags-$(variant)) \
	$(CFLAGS) $(LDFLAGS)
TEST_FLAGS := -Itests -iquote user -Werror=unused-function
VERSION_FLAG = $(if $(filter $<,$(VERSIONED)),-DTUNFENCE_VERSION='"$(VERSION)"')

MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null || $(CC) -dumpmachine 2>/dev/null)
BPF_CFLAGS = -target bpf -g -O2 -mcpu=v2 -std=gnu11 $(BPF_WARNINGS) $(WERROR_FLAG) \
	$(REPRODUCIBLE) -Iinclude -Ivmlinux $(addprefix -I/usr/include/,$(MULTIARCH))

# ---- words for recipes ---------------------------------------------------------------------------

ifeq ($(V),1)
Q :=
msg =
else
Q := @
msg = @printf '  %-8s %s\n' $(1) $(2)
endif

# $(call need,TOOL,PACKAGE): stop, and say what to install.
need = $(if $(shell command -v '$(firstword $(1))' 2>/dev/null),,\
	$(error '$(1)' not found: apt-get install $(2), or run scripts/install-deps))
apt = lib$(patsubst lib%,%,$(1))-dev
# $(call need-libs,LIBRARIES)
need-libs = $(call need,$(PKG_CONFIG),pkgconf)$(foreach lib,$(filter $(MISSING_LIBS),$(1)),\
	$(error library '$(lib)' not found: apt-get install $(call apt,$(lib)), or run \
	scripts/install-deps))
# $(call update,TEXT): give $@ this content, and a new date only if that is a change.
update = $(shell mkdir -p $(@D))$(file >$@.new,$(1))if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

define compile
$(call need,$(CC),gcc)$(call need-libs,$(LIBS) $(1))
$(call msg,CC,$@)
@mkdir -p $(@D)
$(Q)$(CC) $(ALL_CPPFLAGS) $(2) $(VERSION_FLAG) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
endef

define link
$(call msg,LD,$@)
$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) \
	-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(1) $(LIB_LDLIBS) $(LDLIBS)
endef

define archive
$(call msg,AR,$@)
$(Q)rm -f $@
$(Q)$(AR) rcsD $@ $^
endef

# ---- programs ------------------------------------------------------------------------------------

all: $(B)/tunfence $(BPF_OBJECTS) $(NSS) ## the program, in build/ (TEST=1: build-test/, SAN=...: build-san/)

define variant-rules
$(1)/tunfence: $(SRC:%.c=$(1)/%.o)
	$$(call link)
$(1)/user/%.o: user/%.c $(1)/flags Makefile
	$$(call compile)
$(1)/user/object.o $(1)/user/dispatcher.o: $(SKELETONS)
$(VERSIONED:%.c=$(1)/%.o): build/version
$(1)/flags: FORCE
	@$$(call update,$$(CC) $$(ALL_CPPFLAGS) $$(ALL_CFLAGS) $$(ALL_LDFLAGS))
endef
$(foreach v,$(VARIANTS),$(eval $(call variant-rules,$(v))))

# For programs that look up the tunnels' endpoints: see the file.
$(NSS): user/nss/nss_tunfence.c user/nss/libnss_tunfence.map build/flags Makefile
	$(call need,$(CC),gcc)
	$(call msg,CC,$@)
	$(Q)$(CC) -std=gnu11 -g -fPIC -shared $(WARNINGS) -Wno-missing-prototypes $(WERROR_FLAG) \
		$(REPRODUCIBLE) $(cflags-build) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< \
		-Wl,-z,relro,-z,now,-z,noexecstack,-z,defs -Wl,-soname,$(@F) \
		-Wl,--version-script=user/nss/libnss_tunfence.map

build/version: FORCE
	@$(call update,$(VERSION))

# The BPF object with its debug information, without it (BTF stays), and as a header.
build/bpf/flags: FORCE
	@$(call update,$(CLANG) $(BPF_CFLAGS))

build/bpf/%.bpf.o: bpf/%.bpf.c build/bpf/flags Makefile
	$(call need,$(CLANG),clang)$(call need,$(CC),gcc)
	$(call need-libs,libbpf)
	$(call msg,CLANG,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

build/%.bpf.o: build/bpf/%.bpf.o
	$(call need,$(LLVM_STRIP),llvm)
	$(call msg,STRIP,$@)
	$(Q)$(LLVM_STRIP) -g -o $@ $<

# Each skeleton's name begins with "tunfence", and so does its rodata's in the kernel.
build/%.skel.h: build/%.bpf.o
	$(call need,$(BPFTOOL),bpftool)
	$(call msg,SKEL,$@)
	$(Q)echo '/* NOLINTBEGIN: generated */' >$@
	$(Q)$(BPFTOOL) gen skeleton $< name tunfence$(patsubst %,_%,$(filter-out tunfence,$*))_bpf >>$@
	$(Q)echo '/* NOLINTEND */' >>$@

# ---- tests: with the sanitizers, linked with the modules but never the commands ------------------

build-san/modules.a: $(MODULES:%.c=build-san/%.o)
	$(archive)
build-san/kernel.a: $(KERNEL:%.c=build-san/%.o)
	$(archive)
build-san/helpers.a: $(TEST_HELPERS:tests/%.c=build-san/%.o)
	$(archive)

$(TEST_HELPERS:tests/%.c=build-san/%.o) $(UNIT_TESTS:tests/%.c=build-san/%.o) \
$(KERNEL_TESTS:tests/%.c=build-san/%.o): build-san/%.o: tests/%.c build-san/flags Makefile
	$(call compile,$(TEST_LIBS),$(TEST_FLAGS))
$(KERNEL_TESTS:tests/%.c=build-san/%.o): $(SKELETONS)

$(UNIT_PROGRAMS) $(VECTOR_PROGRAMS): %: %.o build-san/helpers.a build-san/modules.a
	$(call link,$(TEST_LDLIBS))
$(KERNEL_PROGRAMS): %: %.o build-san/helpers.a build-san/kernel.a build-san/modules.a
	$(call link,$(TEST_LDLIBS))

# ---- fuzzing: every target twice, with the corpus for check and with clang's fuzzer --------------

FUZZ_HELPERS := $(wildcard tests/vectors/*.c) $(filter-out $(FUZZ_TARGETS) $(FUZZ_MAINS),\
	$(wildcard tests/fuzz/*.c))

$(patsubst tests/%.c,build-san/%.o,$(FUZZ_TARGETS) $(FUZZ_MAINS)): build-san/%.o: tests/%.c \
		build-san/flags Makefile
	$(call compile,,$(TEST_FLAGS))
$(REPLAY_PROGRAMS): %: %.o build-san/fuzz/replay.o build-san/helpers.a build-san/modules.a
	$(call link,$(TEST_LDLIBS))
build-san/fuzz/seeds: build-san/fuzz/seeds.o build-san/helpers.a build-san/modules.a
	$(call link,$(TEST_LDLIBS))

build-fuzz/modules.a: $(MODULES:%.c=build-fuzz/%.o)
	$(archive)
build-fuzz/helpers.a: $(FUZZ_HELPERS:tests/%.c=build-fuzz/%.o)
	$(archive)
$(patsubst tests/%.c,build-fuzz/%.o,$(FUZZ_TARGETS) $(FUZZ_HELPERS)): build-fuzz/%.o: tests/%.c \
		build-fuzz/flags Makefile
	$(call compile,,$(TEST_FLAGS))
$(FUZZ_PROGRAMS): %: %.o build-fuzz/helpers.a build-fuzz/modules.a
	$(call link)

# Without the sanitizers: what each kernel makes of the programs, to run in guests, and the bench.
ALL_MODULES := $(patsubst %.c,build-test/%.o,$(filter-out $(COMMANDS),$(SRC)))
BENCH_HELPERS := $(addprefix tests/,measure/policy.c kernel/object.c kernel/sandbox.c \
	vectors/scene.c vectors/vector.c)
MODEL_HELPERS := $(addprefix tests/,kernel/raised.c kernel/sandbox.c vectors/mutate.c \
	vectors/scene.c vectors/vector.c)
$(patsubst tests/%.c,build-test/%.o,$(MEASURE) $(BENCH) $(MODEL) \
		$(sort $(BENCH_HELPERS) $(MODEL_HELPERS))): \
		build-test/%.o: tests/%.c $(SKELETONS) build-test/flags Makefile
	$(call compile,,$(TEST_FLAGS))
build-test/measure/measure: build-test/measure/measure.o build-test/measure/policy.o $(ALL_MODULES)
	$(call link)
build-test/bench/bench: $(patsubst tests/%.c,build-test/%.o,$(BENCH) $(BENCH_HELPERS)) $(ALL_MODULES)
	$(call link)
build-test/model/judge: $(patsubst tests/%.c,build-test/%.o,$(MODEL) $(MODEL_HELPERS)) $(ALL_MODULES)
	$(call link)

# What 'make check' runs.
CHECKED := $(UNIT_PROGRAMS) $(VECTOR_PROGRAMS) $(REPLAY_PROGRAMS) build-san/fuzz/seeds \
	$(KERNEL_PROGRAMS) build-test/measure/measure build-test/model/judge build/tunfence \
	build-test/tunfence $(NSS)

check: $(SKELETONS) $(CHECKED) ## every suite; as root, or the kernel and end-to-end suites are skipped
	@tests/run
check-unit: $(UNIT_PROGRAMS) ## unit tests, with sanitizers
	@tests/run unit
check-vectors: $(VECTOR_PROGRAMS) ## packet vectors, judged natively
	@tests/run vectors
check-fuzz: $(REPLAY_PROGRAMS) build-san/fuzz/seeds ## the fuzz targets, once over what is committed
	@tests/run fuzz
check-kernel: $(KERNEL_PROGRAMS) $(BPF_OBJECTS) build-test/measure/measure ## packet vectors, judged in the kernel, and the verifier's budget (root)
	@tests/run kernel
check-e2e: build/tunfence build-test/tunfence $(NSS) ## real tunnels in namespaces (root); T=NAME runs one
	@tests/run e2e
check-vm: ## booted Debian machines on four kernels (root); K=6.1 is one of them, T=NAME one scenario
	@tests/vm/run
fuzz: $(FUZZ_PROGRAMS) build-san/fuzz/seeds ## libFuzzer on each target, TIME=60 seconds each; T=NAME runs one
	@tests/fuzz/run
differential: build-test/model/judge ## kernel, native code and a model made from the manual agree (root; PACKETS=n SEED=n POLICIES=n)
	@tests/model/differential $(or $(PACKETS),1000000) $(or $(SEED),20240229) $(or $(POLICIES),12)
prove: ## the parser and the verdict, for all packets at once (CBMC; skipped by name without it)
	@tests/prove/run
bench: build/tunfence build-test/bench/bench ## what it costs, beside others (root; ONLY=part, ROUNDS=n)
	@tests/bench/run
measure: build-test/measure/measure ## verifier instructions and load time of each program (root)
	@$< tests/vectors/policies/home.conf
budget: build-test/measure/measure ## this kernel's verifier instructions into tests/measure/budget (root)
	@tests/measure/budget.py --write
mutants: ## small breaks, each of which a test has to notice (root); T=TEXT tries a few
	@tests/mutants/run
lint: $(SKELETONS) build/tunfence $(NSS) ## linters, and which file may include which
	@scripts/lint

# ---- install, dist, clean ------------------------------------------------------------------------

# Where the C library looks for what nsswitch.conf names; Debian has one for each architecture.
LIBDIR ?= $(PREFIX)/lib$(addprefix /,$(MULTIARCH))

# $(call into,MODE,DIRECTORY,PATTERNS,WHERE): an entry for each file that is there.
into = $(foreach f,$(sort $(wildcard $(addprefix $(2)/,$(3)))),$(1):$(f):$(4)/$(f:$(2)/%=%))
# $(call drop-in,FILE,UNITS): the same file for each of these units.
drop-in = $(foreach u,$(2),644:$(1):lib/systemd/system/$(u).d/10-tunfence.conf)
NETWORK_UNITS := $(shell grep -v "^\#" user/systemd/network.list)

# All that is installed, as MODE:FILE:WHERE, the last below PREFIX unless it begins with LIBDIR. Both
# targets are made from it.
INSTALLED := 755:build/tunfence:sbin/tunfence 644:$(NSS):LIBDIR/$(notdir $(NSS)) \
	$(call into,644,user/systemd,*.service *.socket *.timer *.target *.d/*.conf,lib/systemd/system) \
	$(call drop-in,user/systemd/network.conf,$(NETWORK_UNITS)) \
	$(call drop-in,user/systemd/mount.conf,run-tunfence.mount run-tunfence-bpf.mount) \
	$(call into,644,user/udev,*.rules,lib/udev/rules.d) \
	$(call into,755,user/networkmanager,[0-9]*,lib/NetworkManager/dispatcher.d) \
	$(foreach n,5 7 8,$(call into,644,user/man,*.$(n),share/man/man$(n))) \
	$(call into,644,user/completion,_tunfence,share/zsh/vendor-completions) \
	$(call into,644,user/completion,tunfence.fish,share/fish/vendor_completions.d) \
	$(patsubst %.bash,%,$(call into,644,user/completion,tunfence.bash,share/bash-completion/completions)) \
	$(call into,644,user/prometheus,*.yml *.json,share/tunfence) \
	$(call into,644,user/examples,*.conf *.drop-in,share/doc/tunfence/examples) \
	$(call into,755,user/examples,tunfence-notify,share/doc/tunfence/examples) \
	644:README.md:share/doc/tunfence/README.md 644:LICENSE:share/doc/tunfence/LICENSE

# $(call whole,WHERE): the path on the machine, of a file or a folder.
whole = $(if $(filter LIBDIR%,$(1)),$(LIBDIR)$(1:LIBDIR%=%),$(PREFIX)/$(1))

# What runs the program by its path, or tells people to, means the one that is installed with it.
RUNNERS := user/systemd/% user/udev/% user/networkmanager/% user/man/%
define put
	install -D -m $(word 1,$(1)) $(word 2,$(1)) '$(DESTDIR)$(call whole,$(word 3,$(1)))'
	$(if $(filter $(RUNNERS),$(word 2,$(1))),sed -i 's|/usr/sbin/tunfence|$(PREFIX)/sbin/tunfence|g' \
		'$(DESTDIR)$(call whole,$(word 3,$(1)))')

endef

install: build/tunfence $(NSS) ## into $(DESTDIR)$(PREFIX); PREFIX=/usr
	$(foreach entry,$(INSTALLED),$(call put,$(subst :, ,$(entry))))

places := $(foreach entry,$(INSTALLED),$(word 3,$(subst :, ,$(entry))))
folders := $(patsubst %/,%,$(sort $(dir $(places))))

# Only in a staging area are folders sure to be nobody else's, but for these. Inner ones go first.
OUR_FOLDERS := $(filter lib/systemd/system/%,$(folders)) \
	share/doc/tunfence/examples share/doc/tunfence share/tunfence

uninstall: ## take away what install put there
	rm -f $(foreach place,$(places),'$(DESTDIR)$(call whole,$(place))')
ifeq ($(DESTDIR),)
	for d in $(foreach f,$(OUR_FOLDERS),'$(call whole,$(f))'); do \
		test ! -d "$$d" || rmdir --ignore-fail-on-non-empty "$$d" || exit; done
else
	for d in $(foreach f,$(folders),'$(call whole,$(f))'); do \
		test ! -d '$(DESTDIR)'"$$d" || \
		(cd '$(DESTDIR)' && rmdir -p --ignore-fail-on-non-empty "$${d#/}") || exit; done
	test ! -d '$(DESTDIR)' || rmdir --ignore-fail-on-non-empty '$(DESTDIR)'
endif

dist: ## build/tunfence-VERSION.tar.gz, of what is committed
	@mkdir -p build
	@set -e; v=$$($(GIT) describe --always); out=build/tunfence-$$v.tar.gz; \
	$(GIT) archive --prefix="tunfence-$$v/" --add-virtual-file="tunfence-$$v/VERSION:$$v" HEAD \
		-o "$$out"; echo "$$out"

deb: ## build/tunfence_VERSION_ARCH.deb, for Debian 12 and 13
	@scripts/deb

clean: ## remove build*/
	rm -rf $(VARIANTS) build-old build-mutants

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: V=1 shows commands, WERROR=1, CC, CLANG, BPFTOOL, CFLAGS, LDFLAGS, DESTDIR, PREFIX,' \
		'LIBDIR'

FORCE:
.PHONY: all check check-unit check-vectors check-fuzz check-kernel check-e2e check-vm fuzz differential \
	prove mutants bench measure budget lint install uninstall dist deb clean help FORCE

-include $(wildcard $(VARIANTS:%=%/*/*.d))
