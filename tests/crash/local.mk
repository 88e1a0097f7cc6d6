# tests/crash/ - processes are killed with -9; what was promised is kept
check_PROGRAMS += tests/crash/kill
tests_crash_kill_SOURCES = tests/crash/kill.c
tests_crash_kill_LDADD = $(SCHEMA_LINK)
TESTS += tests/crash/kill
LONG_TESTS += tests/crash/long.sh
EXTRA_DIST += tests/crash/long.sh
