# The power cut: `make check` has a few, `make check-all` many.
power_sources = \
	tests/crash/power.c tests/crash/power.h \
	tests/crash/power_judge.c tests/crash/power_load.c
power_wraps = $(DISK_WRAPS) -Wl,--wrap=hf_boot_id

check_PROGRAMS += tests/crash/power
tests_crash_power_SOURCES = $(power_sources)
tests_crash_power_LDADD = $(VFS_LINK) $(CHANNEL_LINK)
tests_crash_power_LDFLAGS = $(power_wraps)
TESTS += tests/crash/power
LONG_TESTS += tests/crash/power-long.sh
EXTRA_DIST += tests/crash/power-long.sh
