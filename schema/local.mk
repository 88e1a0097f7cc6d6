# schema/ - the journal; all SQL lives here
noinst_LIBRARIES += libschema.a
libschema_a_SOURCES = \
	schema/alone.c schema/alone.h \
	schema/backup.c schema/backup.h \
	schema/bell.c schema/bell.h \
	schema/db.c schema/db.h \
	schema/dir.c schema/dir.h \
	schema/failed.c schema/failed.h \
	schema/files.c schema/files.h \
	schema/fresh.c schema/fresh.h \
	schema/guard.c \
	schema/history.c \
	schema/holders.c schema/holders.h \
	schema/running.c schema/running.h \
	schema/inspect.c schema/inspect.h schema/inspect_impl.h \
	schema/inspect_db.c schema/inspect_locks.c \
	schema/journal.c schema/journal.h schema/journal_impl.h \
	schema/holds.c schema/holds.h \
	schema/inquiry.c schema/inquiry.h \
	schema/keen.c schema/keen.h \
	schema/kept_answers.c schema/kept_answers.h \
	schema/live.c schema/live.h schema/live_impl.h \
	schema/live_kept.c schema/live_open.c schema/live_seats.c \
	schema/mapped.c schema/mapped.h \
	schema/migrate.c schema/migrate.h \
	schema/move.c schema/move.h \
	schema/place.c schema/place.h \
	schema/policies.c schema/policies.h \
	schema/presences.c schema/presences.h \
	schema/readable.c schema/readable.h \
	schema/reading.c \
	schema/redact.c schema/redact.h \
	schema/retention.c schema/retention.h \
	schema/rescue.c schema/rescue.h \
	schema/session_lock.c schema/session_lock.h \
	schema/sessions.c schema/sessions.h \
	schema/setting.c schema/setting.h \
	schema/settings.c schema/settings.h schema/settings_template.c \
	schema/settings_change.c schema/settings_change.h \
	schema/space.c schema/space.h \
	schema/sql.h \
	schema/starts.c schema/starts.h \
	schema/survivor.c schema/survivor.h \
	schema/trace.c schema/trace.h \
	schema/upkeep.c schema/upkeep.h \
	schema/wake.c schema/wake.h \
	schema/writer.c schema/writer.h

# Each becomes `const char hf_sql_<name>[]` of the built schema/sql.c;
# schema/sql.h declares them, so a name that is only in one of the two does not
# compile.
schema_sql = schema/001_journal.sql schema/002_retention.sql \
	schema/003_channels.sql \
	schema/live.sql
EXTRA_DIST += $(schema_sql)
nodist_libschema_a_SOURCES = schema/sql.c
CLEANFILES += schema/sql.c

# Nothing but what is relative to the build: in a copy of a build directory an
# absolute name would make the file of the other one, and this one's texts would
# stay as they are.
schema/sql.c: build-aux/embed-sql $(schema_sql)
	$(AM_V_GEN)$(MKDIR_P) schema && \
	  $(AWK) -f $(srcdir)/build-aux/embed-sql $(schema_sql:%=$(srcdir)/%) \
	    >$@.tmp && mv $@.tmp $@
