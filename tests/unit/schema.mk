# Unit tests of schema/: a line in unit_tests and the two below for each.
unit_tests += \
	tests/unit/test_settings_change \
	tests/unit/test_backup \
	tests/unit/test_bell \
	tests/unit/test_dir \
	tests/unit/test_failed \
	tests/unit/test_growth \
	tests/unit/test_guard \
	tests/unit/test_foreign \
	tests/unit/test_holds \
	tests/unit/test_running \
	tests/unit/test_starts \
	tests/unit/test_inspect \
	tests/unit/test_journal \
	tests/unit/test_keen \
	tests/unit/test_rescue \
	tests/unit/test_live \
	tests/unit/test_memory \
	tests/unit/test_migrate \
	tests/unit/test_place \
	tests/unit/test_policies \
	tests/unit/test_presences \
	tests/unit/test_redact \
	tests/unit/test_retention \
	tests/unit/test_readable \
	tests/unit/test_sessions \
	tests/unit/test_settings \
	tests/unit/test_space \
	tests/unit/test_wake \
	tests/unit/test_writer

tests_unit_test_backup_SOURCES = \
	tests/unit/test_backup.c tests/unit/schema_fixture.h
tests_unit_test_backup_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_backup_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_bell_SOURCES = \
	tests/unit/test_bell.c tests/unit/schema_fixture.h
tests_unit_test_bell_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bell_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_dir_SOURCES = \
	tests/unit/test_dir.c tests/unit/schema_fixture.h
tests_unit_test_dir_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_dir_LDADD = $(SCHEMA_TEST_LINK)
tests_unit_test_dir_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fstatfs

tests_unit_test_failed_SOURCES = \
	tests/unit/test_failed.c tests/unit/schema_fixture.h
tests_unit_test_failed_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_failed_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_growth_SOURCES = \
	tests/unit/test_growth.c tests/unit/schema_fixture.h
tests_unit_test_growth_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_growth_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_guard_SOURCES = \
	tests/unit/test_guard.c tests/unit/schema_fixture.h
tests_unit_test_guard_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_guard_LDADD = $(VFS_LINK) $(SCHEMA_TEST_LINK)

tests_unit_test_foreign_SOURCES = \
	tests/unit/test_foreign.c tests/unit/wake_fixture.h \
	tests/unit/schema_fixture.h
tests_unit_test_foreign_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_foreign_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_running_SOURCES = \
	tests/unit/test_running.c tests/unit/schema_fixture.h
tests_unit_test_running_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_running_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_starts_SOURCES = \
	tests/unit/test_starts.c tests/unit/schema_fixture.h
tests_unit_test_starts_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_starts_LDADD = $(SCHEMA_TEST_LINK)
tests_unit_test_holds_SOURCES = \
	tests/unit/test_holds.c tests/unit/schema_fixture.h
tests_unit_test_holds_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_holds_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_keen_SOURCES = tests/unit/test_keen.c
tests_unit_test_keen_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_keen_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_journal_SOURCES = \
	tests/unit/test_journal.c tests/unit/schema_fixture.h
tests_unit_test_journal_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_journal_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_live_SOURCES = \
	tests/unit/test_live.c tests/unit/schema_fixture.h
tests_unit_test_live_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_live_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_place_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_place_LDADD = $(SCHEMA_TEST_LINK)
tests_unit_test_place_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=getpwuid

tests_unit_test_policies_SOURCES = \
	tests/unit/test_policies.c tests/unit/schema_fixture.h
tests_unit_test_policies_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_policies_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_presences_SOURCES = \
	tests/unit/test_presences.c tests/unit/schema_fixture.h
tests_unit_test_presences_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_presences_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_readable_SOURCES = \
	tests/unit/test_readable.c tests/unit/schema_fixture.h
tests_unit_test_readable_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_readable_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_sessions_SOURCES = \
	tests/unit/test_sessions.c tests/unit/schema_fixture.h
tests_unit_test_sessions_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sessions_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_settings_SOURCES = \
	tests/unit/test_settings.c tests/unit/schema_fixture.h
tests_unit_test_settings_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_settings_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_space_SOURCES = \
	tests/unit/test_space.c tests/unit/schema_fixture.h
tests_unit_test_space_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_space_LDADD = $(VFS_LINK) $(SCHEMA_TEST_LINK)
tests_unit_test_space_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fallocate \
	-Wl,--wrap=fstatvfs

tests_unit_test_wake_SOURCES = \
	tests/unit/test_wake.c tests/unit/wake_fixture.h \
	tests/unit/schema_fixture.h
tests_unit_test_wake_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_wake_LDADD = $(SCHEMA_TEST_LINK)
tests_unit_test_wake_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=inotify_init1 \
	-Wl,--wrap=inotify_add_watch

tests_unit_test_writer_SOURCES = \
	tests/unit/test_writer.c tests/unit/schema_fixture.h
tests_unit_test_writer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_writer_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_memory_SOURCES = \
	tests/unit/test_memory.c tests/unit/schema_fixture.h
tests_unit_test_memory_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_memory_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_migrate_SOURCES = \
	tests/unit/test_migrate.c tests/unit/schema_fixture.h
tests_unit_test_migrate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_migrate_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_redact_SOURCES = \
	tests/unit/test_redact.c tests/unit/schema_fixture.h
tests_unit_test_redact_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_redact_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_retention_SOURCES = \
	tests/unit/test_retention.c tests/unit/schema_fixture.h
tests_unit_test_retention_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_retention_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_inspect_SOURCES = \
	tests/unit/test_inspect.c tests/unit/schema_fixture.h
tests_unit_test_inspect_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_inspect_LDADD = $(SCHEMA_TEST_LINK)
tests_unit_test_inspect_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fstatfs \
	-Wl,--wrap=flock -Wl,--wrap=sqlite3_libversion_number

tests_unit_test_rescue_SOURCES = \
	tests/unit/test_rescue.c tests/unit/schema_fixture.h
tests_unit_test_rescue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rescue_LDADD = $(SCHEMA_TEST_LINK)

tests_unit_test_settings_change_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_settings_change_LDADD = $(SCHEMA_TEST_LINK)
