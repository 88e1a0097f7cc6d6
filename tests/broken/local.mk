# tests/broken/ - tests that must fail: each program is a unit test built with
# one rule taken out (-DHF_BROKEN_...), and caught.sh asks that it is noticed. A
# checker that has never failed proves nothing.
#
# Without its rule some code has no caller: BROKEN_CFLAGS.
#
# The source with the rule is compiled anew and so goes before its layer's
# library, where its own object is then not looked for.
BROKEN_CFLAGS = $(UNIT_CFLAGS) -Wno-unused
broken_programs = \
	tests/broken/ack_before_commit \
	tests/broken/ack_before_commit_writer \
	tests/broken/checkpoint_ignored \
	tests/broken/diff_later \
	tests/broken/ids_reused \
	tests/broken/no_sync \
	tests/broken/react_once \
	tests/broken/ring_early \
	tests/broken/torn_names \
	tests/broken/no_watermark \
	tests/broken/no_watermark_longpoll \
	tests/broken/replay_null_ref \
	tests/broken/replay_null_ref_longpoll

tests_broken_ack_before_commit_SOURCES = \
	tests/unit/test_session.c channel/push.c
tests_broken_ack_before_commit_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_ACK_BEFORE_COMMIT
tests_broken_ack_before_commit_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_ack_before_commit_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_watermark_SOURCES = \
	tests/unit/test_session.c channel/deliver.c
tests_broken_no_watermark_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_WATERMARK
tests_broken_no_watermark_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_watermark_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_watermark_longpoll_SOURCES = \
	tests/unit/test_longpoll.c channel/stream.c
tests_broken_no_watermark_longpoll_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_NO_WATERMARK
tests_broken_no_watermark_longpoll_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_watermark_longpoll_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_replay_null_ref_SOURCES = \
	tests/unit/test_session.c channel/row.c
tests_broken_replay_null_ref_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REPLAY_NULL_REF
tests_broken_replay_null_ref_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_replay_null_ref_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_replay_null_ref_longpoll_SOURCES = \
	tests/unit/test_longpoll.c channel/row.c
tests_broken_replay_null_ref_longpoll_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REPLAY_NULL_REF
tests_broken_replay_null_ref_longpoll_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_replay_null_ref_longpoll_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_ack_before_commit_writer_SOURCES = \
	tests/unit/test_writer.c schema/writer.c
tests_broken_ack_before_commit_writer_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_ACK_BEFORE_COMMIT
tests_broken_ack_before_commit_writer_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_ack_before_commit_writer_LDADD = $(SCHEMA_TEST_LINK)

tests_broken_checkpoint_ignored_SOURCES = \
	tests/unit/test_guard.c schema/guard.c
tests_broken_checkpoint_ignored_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_CHECKPOINT_IGNORED
tests_broken_checkpoint_ignored_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_checkpoint_ignored_LDADD = $(VFS_LINK) $(SCHEMA_TEST_LINK)

tests_broken_diff_later_SOURCES = \
	tests/unit/test_presences.c schema/journal.c
tests_broken_diff_later_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_DIFF_LATER
tests_broken_diff_later_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_diff_later_LDADD = $(SCHEMA_TEST_LINK)

tests_broken_ids_reused_SOURCES = \
	tests/unit/test_journal.c schema/history.c
tests_broken_ids_reused_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_IDS_REUSED
tests_broken_ids_reused_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_ids_reused_LDADD = $(SCHEMA_TEST_LINK)

tests_broken_no_sync_SOURCES = \
	tests/unit/test_journal.c schema/journal.c
tests_broken_no_sync_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_NO_SYNC
tests_broken_no_sync_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_sync_LDADD = $(SCHEMA_TEST_LINK)

tests_broken_react_once_SOURCES = \
	tests/unit/test_wake.c schema/wake.c
tests_broken_react_once_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REACT_ONCE
tests_broken_react_once_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_react_once_LDADD = $(SCHEMA_TEST_LINK)
tests_broken_react_once_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=inotify_init1 \
	-Wl,--wrap=inotify_add_watch

tests_broken_ring_early_SOURCES = \
	tests/unit/test_wake.c schema/journal.c
tests_broken_ring_early_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_RING_EARLY
tests_broken_ring_early_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_ring_early_LDADD = $(SCHEMA_TEST_LINK)
tests_broken_ring_early_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=inotify_init1 \
	-Wl,--wrap=inotify_add_watch

tests_broken_torn_names_SOURCES = \
	tests/unit/test_bell.c schema/bell.c
tests_broken_torn_names_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_TORN_NAMES
tests_broken_torn_names_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_torn_names_LDADD = $(SCHEMA_TEST_LINK)

# Waiting for what does not come takes its time, so not in `make check`.
if HAVE_CMOCKA
long_programs += $(broken_programs)
LONG_TESTS += tests/broken/caught.sh
endif
EXTRA_PROGRAMS += $(broken_programs)
EXTRA_DIST += tests/broken/caught.sh

check-caught: $(long_programs)
	$(MAKE) $(AM_MAKEFLAGS) check TEST_SECONDS=600 \
	  TESTS=tests/broken/caught.sh
.PHONY: check-caught
