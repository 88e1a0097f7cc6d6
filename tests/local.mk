# tests/ - `make check` runs TESTS (seconds), `make check-all` LONG_TESTS too,
# for which it builds long_programs and crash_broken_programs
#
# A test speaks TAP: cmocka programs when told so, shell scripts by tests/lib.sh.
# Programs are named test_x, scripts x.sh; a name without folder would do
# nothing to the rules, so each is listed in the local.mk of its folder.

TEST_EXTENSIONS = .sh
TEST_SECONDS = 120
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir;
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
LOG_COMPILER = $(SHELL) $(top_srcdir)/build-aux/cmocka-tap \
	timeout -k 5 $(TEST_SECONDS)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = timeout -k 5 $(TEST_SECONDS) $(SHELL)

UNIT_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
BASE_TEST_LINK = $(BASE_LINK) $(CMOCKA_LIBS)
SCHEMA_TEST_LINK = $(SCHEMA_LINK) $(CMOCKA_LIBS)
CHANNEL_TEST_LINK = $(CHANNEL_LINK) $(CMOCKA_LIBS)

# unit_tests: programs of tests/unit, one per module; left out without cmocka
unit_tests =
include tests/unit/base.mk
include tests/unit/schema.mk
include tests/unit/channel.mk
include tests/unit/gateway.mk
include tests/unit/sidecar.mk
include tests/unit/middlebox.mk
include tests/vfs/local.mk
if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

include tests/fuzz/local.mk
include tests/broken/local.mk
include tests/cli/local.mk
include tests/docs/local.mk
include tests/crash/local.mk
include tests/crash/power.mk
include tests/crash/faults.mk
include tests/holds/local.mk
include tests/js/local.mk
include tests/lang/local.mk
include tests/middlebox/local.mk
include tests/package/local.mk
include tests/soak/local.mk
include tests/sql/local.mk

# TESTS on the command line replaces the list, so name both.
check-all: all $(long_programs) $(crash_broken_programs)
	$(MAKE) $(AM_MAKEFLAGS) check TEST_SECONDS=2400 \
	  TESTS='$(TESTS) $(LONG_TESTS)'
.PHONY: check-all
