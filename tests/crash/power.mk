# The power cut: `make check` has a few, `make check-all` many.
power_sources = \
	tests/crash/power.c tests/crash/power.h \
	tests/crash/power_init.c tests/crash/power_judge.c \
	tests/crash/power_load.c
power_wraps = $(DISK_WRAPS) -Wl,--wrap=hf_boot_id

check_PROGRAMS += tests/crash/power
tests_crash_power_SOURCES = $(power_sources)
tests_crash_power_LDADD = $(VFS_LINK) $(CHANNEL_LINK)
tests_crash_power_LDFLAGS = $(power_wraps)
TESTS += tests/crash/power
LONG_TESTS += tests/crash/power-long.sh
EXTRA_DIST += tests/crash/power-long.sh

# The same with a rule taken out; tests/broken/caught.sh wants each to fail.
power_broken = \
	tests/broken/power_ack_before_commit \
	tests/broken/power_ids_reused \
	tests/broken/power_no_sync
long_programs += $(power_broken)
EXTRA_PROGRAMS += $(power_broken)
power_broken_cflags = $(AM_CFLAGS) -Wno-unused -DPOWER_CUTS=600

tests_broken_power_ack_before_commit_SOURCES = \
	$(power_sources) schema/writer.c
tests_broken_power_ack_before_commit_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_ACK_BEFORE_COMMIT
tests_broken_power_ack_before_commit_CFLAGS = $(power_broken_cflags)
tests_broken_power_ack_before_commit_LDADD = $(VFS_LINK) $(CHANNEL_LINK)
tests_broken_power_ack_before_commit_LDFLAGS = $(power_wraps)

tests_broken_power_ids_reused_SOURCES = $(power_sources) schema/history.c
tests_broken_power_ids_reused_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_IDS_REUSED
tests_broken_power_ids_reused_CFLAGS = $(power_broken_cflags)
tests_broken_power_ids_reused_LDADD = $(VFS_LINK) $(CHANNEL_LINK)
tests_broken_power_ids_reused_LDFLAGS = $(power_wraps)

tests_broken_power_no_sync_SOURCES = $(power_sources) schema/journal.c
tests_broken_power_no_sync_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_SYNC
tests_broken_power_no_sync_CFLAGS = $(power_broken_cflags)
tests_broken_power_no_sync_LDADD = $(VFS_LINK) $(CHANNEL_LINK)
tests_broken_power_no_sync_LDFLAGS = $(power_wraps)
