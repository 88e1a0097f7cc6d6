# tests/crash/ - processes are killed with -9; what was promised is kept
#
#     kill         one writer in C, through the writer's thread
#     crash.mjs    all of the real programs, under load; history.py judges.
#                  tests/js/crash.test.js runs it with 30 kills and tries the
#                  judge; random.sh with a thousand
check_PROGRAMS += tests/crash/kill
tests_crash_kill_SOURCES = tests/crash/kill.c
tests_crash_kill_LDADD = $(SCHEMA_LINK)
TESTS += tests/crash/kill
LONG_TESTS += tests/crash/long.sh tests/crash/random.sh
EXTRA_DIST += \
	tests/crash/lib.sh \
	tests/crash/long.sh \
	tests/crash/random.sh \
	tests/crash/audit.py \
	tests/crash/history.py \
	tests/crash/lock.py \
	tests/crash/writer.php \
	tests/crash/crash.mjs \
	tests/crash/events.mjs \
	tests/crash/publishers.mjs \
	tests/crash/readers.mjs \
	tests/crash/targets.mjs

include tests/crash/broken.mk
