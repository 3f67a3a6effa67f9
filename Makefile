# backline. `make help` lists the targets; `make V=1` shows the commands.
#
# Variants live in folders of their own, so none needs a `make clean` first:
#   make                      release build: programs in bin/
#   make BUILD=asan check     AddressSanitizer and UndefinedBehaviorSanitizer
#   make BUILD=f64 check      the engine in double, where gradients are checked
#   make ARCH=x86-64          programs for any x86-64 processor; products and convolutions still use AVX-512 or AVX2 if it has them
BUILD ?= release
CC    ?= cc
O     ?= build
ARCH  ?= native
B     := $(O)/$(BUILD)
ifeq ($(BUILD),release)
BIN   ?= bin
else
BIN   ?= $(B)/bin
endif

# Nobody reads errno or the exception flags of arithmetic; with them, sqrt, floor and choices between values stay scalar.
FAST_MATH := -fno-math-errno -fno-trapping-math
OPT_release := -O3 -march=$(ARCH) $(FAST_MATH)
OPT_debug   := -O0 -g3 -DBL_DEBUG
OPT_f64     := -O2 -g -DBL_F64 $(FAST_MATH)
OPT_asan    := -O1 -g -DBL_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ifeq ($(OPT_$(BUILD)),)
$(error BUILD=$(BUILD) is not one of release debug f64 asan)
endif

# As many jobs as there are processors, unless the command line says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

PACKAGES := sndfile samplerate libebur128 hdf5 libpng jansson fluidsynth inih fftw3f fftw3
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wdouble-promotion -Wvla -Wundef
GOALS    := $(or $(MAKECMDGOALS),all)

# Programs and tests need the Debian packages of tools/setup.sh; install what is missing first.
ifneq ($(filter-out help clean packages,$(GOALS)),)
ifneq ($(shell pkg-config --exists $(PACKAGES) cmocka && echo yes),yes)
$(shell tools/setup.sh packages >&2)
ifneq ($(shell pkg-config --exists $(PACKAGES) cmocka && echo yes),yes)
$(error packages are missing; run tools/setup.sh packages)
endif
endif
CFLAGS_PKG := $(shell pkg-config --cflags $(PACKAGES))
LIBS_PKG   := $(shell pkg-config --libs $(PACKAGES))
endif

# Position-independent, for libbackline.so; calls between our own functions still may be inlined.
CFLAGS  := -std=c11 -I. -I$(B)/gen -MMD -MP -fopenmp -fPIC -fno-semantic-interposition $(OPT_$(BUILD)) $(WARN) $(CFLAGS_PKG) $(EXTRA_CFLAGS)
LDFLAGS := -fopenmp $(OPT_$(BUILD)) -Wl,--wrap=GOMP_parallel
LIBS    := $(LIBS_PKG) -lm

# Modules, lowest first; each may use those before it and none after it.
MODULES  := base nn audio music data blocks train infer
PROGRAMS := $(sort $(wildcard train/train_*.c tools/*.c) $(wildcard infer/infer.c infer/listen.c infer/play.c infer/separate.c))
OPS      := $(sort $(wildcard nn/ops/*.c))
LAYERS   := $(sort $(wildcard nn/layers/*.c))

sources = $(filter-out $(PROGRAMS),$(sort $(wildcard $(1)/*.c $(1)/*/*.c)))
objects = $(patsubst %.c,$(B)/%.o,$(call sources,$(1))) $(if $(filter nn,$(1)),$(B)/gen/registry.o)
library = $(B)/lib$(1).a
# A module and everything below it, in link order (highest first).
upto    = $(call reverse,$(call cut,$(1),$(MODULES)))
cut     = $(if $(filter $(1),$(firstword $(2))),$(1),$(firstword $(2)) $(call cut,$(1),$(wordlist 2,99,$(2))))
reverse = $(if $(1),$(call reverse,$(wordlist 2,99,$(1))) $(firstword $(1)))

BINS  := $(addprefix $(BIN)/,$(notdir $(PROGRAMS:.c=)))
TESTS := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/*/test_*.c)))

ifeq ($(V),)
Q := @
say = @printf '  %-5s %s\n' $(1) $(2)
endif

.PHONY: all check check-python evaluate lib install test-programs demo help clean packages lint bench bench-kernels bench-clusters bench-listening FORCE
all: $(BINS)

define module_rules
$(call library,$(1)): $(call objects,$(1))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
$(B)/tests/$(1)/test_%: $(B)/tests/$(1)/test_%.o $(foreach m,$(call upto,$(1)),$(call library,$(m)))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ -lcmocka $$(LIBS)
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

define program_rule
$(BIN)/$(notdir $(1:.c=)): $(B)/$(1:.c=.o) $(foreach m,$(call upto,infer),$(call library,$(m)))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

# The innermost loops are compiled for several processors; the program chooses when it starts (nn/kernel/kernel.h).
KERNELS := -O3 -ffp-contract=fast
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
$(B)/nn/kernel/avx512.o: private MORE := $(KERNELS) -march=skylake-avx512
$(B)/nn/kernel/avx2.o:   private MORE := $(KERNELS) -march=haswell
endif
$(B)/nn/kernel/generic.o: private MORE := $(KERNELS)
# Kernel values in double, for which -O3 is enough but for fused multiply-adds.
$(B)/nn/models/svm_kernel.o: private MORE := -ffp-contract=fast
$(B)/nn/models/kmeans_nearest.o: private MORE := -ffp-contract=fast

$(B)/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) $(MORE) -c -o $@ $<
$(B)/gen/registry.o: $(B)/gen/registry.c $(B)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# One file is one op or one layer: nn/ops/snake.c defines nn_op_snake, nn/layers/conv1d.c nn_layer_conv1d.
$(B)/gen/registry.c: FORCE
	$(Q)mkdir -p $(@D); { echo '#include "nn/op.h"'; echo '#include "nn/layer.h"'; \
	  for o in $(basename $(notdir $(OPS))); do echo "extern const nn_op nn_op_$$o;"; done; \
	  echo 'const nn_op *const nn_ops[] = {'; \
	  for o in $(basename $(notdir $(OPS))); do echo "    &nn_op_$$o,"; done; echo '    0 };'; \
	  for o in $(basename $(notdir $(LAYERS))); do echo "extern const nn_layer_type nn_layer_$$o;"; done; \
	  echo 'const nn_layer_type *const nn_layer_types[] = {'; \
	  for o in $(basename $(notdir $(LAYERS))); do echo "    &nn_layer_$$o,"; done; echo '    0 };'; \
	  } > $@.new; cmp -s $@ $@.new && rm $@.new || mv $@.new $@

# Rewritten only when the compiler or a flag changes; objects depend on it.
$(B)/flags: FORCE
	$(Q)mkdir -p $(@D); echo '$(CC) $(CFLAGS)' > $@.new; cmp -s $@ $@.new && rm $@.new || mv $@.new $@

# ---- libbackline.so, for programs outside this tree: make install PREFIX=/usr/local DESTDIR= ----
PREFIX      ?= /usr/local
VERSION     := $(shell sed -n 's/.*bl_version\[\] = "\(.*\)";/\1/p' base/cli.c)
SOVERSION   := $(firstword $(subst ., ,$(VERSION)))
LIB_MODULES := $(filter-out train,$(MODULES))
SHARED      := $(B)/libbackline.so.$(VERSION)
# What others may rely on. The rest of nn/*.h is for those who write ops and layers in this tree.
NN_HEADERS  := api checkpoint ema gan import layer loss network op ops optimizer params plan pqmf profile recompute schedule tape
HEADERS     := $(NN_HEADERS:%=nn/%.h) $(wildcard nn/models/*.h) $(filter-out %_private.h %_tables.h audio/separation_parts.h,$(foreach \
               m,$(filter-out nn,$(LIB_MODULES)),$(wildcard $(m)/*.h)))
space       := $(subst ,, )
PREFIXES    := bl|$(subst $(space),|,$(filter-out base,$(LIB_MODULES)))

# What is exported: every name with a module's prefix that an installed header declares.
$(B)/gen/backline.map: $(HEADERS) Makefile
	$(Q)mkdir -p $(@D); { echo 'BACKLINE_$(SOVERSION) { global:'; grep -ohE '\b($(PREFIXES))_[a-z0-9_]+ *[(;[]' $(HEADERS) | \
	  tr -d ' ([;' | sort -u | sed 's/.*/    &;/'; echo 'local: *; };'; } > $@
$(SHARED): $(B)/gen/backline.map $(foreach m,$(LIB_MODULES),$(call objects,$(m)))
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libbackline.so.$(SOVERSION) -Wl,--version-script=$< -o $@ $(filter %.o,$^) $(LIBS)
lib: $(SHARED)

define PC
prefix=@prefix@
libdir=$${prefix}/lib
includedir=$${prefix}/include/backline

Name: backline
Description: tensors, networks and music in C
Version: $(VERSION)
Requires.private: $(PACKAGES)
Cflags: -I$${includedir}
Libs: -L$${libdir} -lbackline
endef
export PC
# Into folder 1, to be used as prefix 2.
define install_to
	$(call say,INST,$(1))
	$(Q)install -d $(1)/lib/pkgconfig && install -m 755 $(SHARED) $(1)/lib/ && \
	  ln -sf libbackline.so.$(VERSION) $(1)/lib/libbackline.so.$(SOVERSION) && \
	  ln -sf libbackline.so.$(SOVERSION) $(1)/lib/libbackline.so && \
	  echo "$$PC" | sed 's|@prefix@|$(2)|' > $(1)/lib/pkgconfig/backline.pc && \
	  for h in $(HEADERS); do install -D -m 644 $$h $(1)/include/backline/$$h || exit 1; done
endef
install: $(SHARED)
	$(call install_to,$(DESTDIR)$(PREFIX),$(PREFIX))

# A copy that the tests compile against. The sanitizers' build has no library of its own.
INSTALLED := $(abspath $(B))/installed
$(INSTALLED)/stamp: $(SHARED) $(HEADERS) Makefile
	$(Q)rm -rf $(INSTALLED)
	$(call install_to,$(INSTALLED),$(INSTALLED))
	$(Q)touch $@
ifeq ($(BUILD),release)
INSTALL_TEST := tests/install/test_install.sh
check: $(INSTALLED)/stamp
endif
# python/backline.py against C and NumPy.
check-python: $(INSTALLED)/stamp
	$(Q)INSTALLED=$(INSTALLED) PYTHON=$(or $(PYTHON),python3) tests/install/test_python.sh

test-programs: $(TESTS)
check: all test-programs
	$(Q)BIN=$(BIN) INSTALLED=$(INSTALLED) CC="$(CC)" tests/run.sh $(TESTS) $(INSTALL_TEST)

# A song from the demo vocal and the shipped checkpoints, into demo/.
demo: all
	$(Q)tools/demo.sh

# Ours beside PyTorch (tests/bench/): make bench CASES='wavegan.*' THREADS=2 SECONDS=10 PYTHON=/usr/bin/python3
BENCH := $(B)/tests/bench/bench
$(BENCH): $(patsubst %.c,$(B)/%.o,$(filter-out %/bench_kernels.c %/bench_listening.c,$(sort $(wildcard tests/bench/*.c)))) $(foreach m,$(call upto,nn),$(call library,$(m)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tests/bench/machine.o: private MORE := -ffp-contract=fast
bench: $(BENCH)
	$(Q)$(BENCH) $(if $(CASES),--cases '$(CASES)') $(if $(THREADS),--threads $(THREADS)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PYTHON),--python $(PYTHON))

# Products and convolutions alone, against the processor's peak.
BENCH_KERNELS := $(B)/tests/bench/bench_kernels
$(BENCH_KERNELS): $(B)/tests/bench/bench_kernels.o $(foreach m,$(call upto,nn),$(call library,$(m)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
bench-kernels: $(BENCH_KERNELS)
	$(Q)for threads in $(or $(THREADS),1 2); do $(BENCH_KERNELS) $$threads $(CASES); done

# k-means beside scikit-learn's.
bench-clusters: lib
	$(Q)for threads in $(or $(THREADS),1 2); do OMP_NUM_THREADS=$$threads BACKLINE_LIBRARY=$(SHARED) $(or $(PYTHON),/usr/bin/python3) \
	  tools/evaluate/lib_clusters.py; done

# How long listening takes, ours beside aubio's and SciPy's: make bench-listening SECONDS=2
BENCH_LISTENING := $(B)/tests/bench/bench_listening
$(BENCH_LISTENING): $(B)/tests/bench/bench_listening.o $(foreach m,$(call upto,audio),$(call library,$(m)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
bench-listening: $(BENCH_LISTENING)
	$(Q)OMP_NUM_THREADS=1 $(BENCH_LISTENING) $(B)/bench_listening.f32 --seconds $(or $(SECONDS),1)
	$(Q)OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 /usr/bin/python3 tests/bench/listening_peers.py $(B)/bench_listening.f32

# How well we listen, on ground truth: make evaluate TASKS="pitch beats" DATA=../shared/data
EVALUATION := python3-mir-eval python3-sklearn python3-aubio python3-soundfile python3-mido python3-scipy python3-h5py fluidsynth \
  sox timgm6mb-soundfont fluid-soundfont-gm musescore-general-soundfont-small
evaluate: all $(SHARED)
	$(Q)tools/setup.sh packages $(EVALUATION)
	$(Q)BACKLINE_LIBRARY=$(SHARED) /usr/bin/python3 tools/evaluate/evaluate.py $(TASKS) --bin $(BIN) --work $(O)/evaluate $(if $(DATA),--data $(DATA))

packages:
	$(Q)tools/setup.sh packages

lint:
	$(Q)tools/lint.sh

clean:
	rm -rf $(O) bin

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,8p'
	@echo 'targets: all check check-python evaluate bench bench-kernels bench-clusters bench-listening demo lib install packages clean   variables: BUILD=release|debug|f64|asan ARCH=native|x86-64|... V=1 O=build BIN=bin'

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
