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
	tests/broken/asking_overtaken \
	tests/broken/cut_is_head \
	tests/broken/dead_is_unknown \
	tests/broken/delete_at_leave \
	tests/broken/head_is_hub \
	tests/broken/heads_cry_wolf \
	tests/broken/heads_cry_wolf_longpoll \
	tests/broken/leave_does_not_wait \
	tests/broken/live_null_ref \
	tests/broken/no_key \
	tests/broken/no_key_longpoll \
	tests/broken/no_key_plain \
	tests/broken/no_post_turn \
	tests/broken/no_session_bell \
	tests/broken/page_says_head \
	tests/broken/partly_published \
	tests/broken/older_goes_on \
	tests/broken/older_poll_stays \
	tests/broken/post_acknowledges \
	tests/broken/rate_forgotten \
	tests/broken/reply_cursor_is_head \
	tests/broken/stale_post \
	tests/broken/trim_unseen \
	tests/broken/all_in_common \
	tests/broken/two_snapshots \
	tests/broken/unkept \
	tests/broken/ack_before_commit \
	tests/broken/ack_before_commit_writer \
	tests/broken/budget_forgets_nothing \
	tests/broken/checkpoint_ignored \
	tests/broken/diff_later \
	tests/broken/ids_reused \
	tests/broken/lease_endless \
	tests/broken/news_only_with_room \
	tests/broken/no_halving \
	tests/broken/no_sync \
	tests/broken/react_once \
	tests/broken/ring_early \
	tests/broken/torn_names \
	tests/broken/no_watermark \
	tests/broken/no_watermark_longpoll \
	tests/broken/replay_null_ref \
	tests/broken/replay_null_ref_longpoll

tests_broken_asking_overtaken_SOURCES = \
	tests/unit/test_asking.c channel/asking.c
tests_broken_asking_overtaken_CPPFLAGS = $(AM_CPPFLAGS) \
	-DHF_BROKEN_ASKING_OVERTAKEN
tests_broken_asking_overtaken_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_asking_overtaken_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_post_turn_SOURCES = \
	tests/unit/test_post_hooks.c schema/session_lock.c
tests_broken_no_post_turn_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_POST_TURN
tests_broken_no_post_turn_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_post_turn_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_cut_is_head_SOURCES = \
	tests/unit/test_interleave.c channel/stream.c
tests_broken_cut_is_head_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_CUT_IS_HEAD
tests_broken_cut_is_head_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_cut_is_head_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_dead_is_unknown_SOURCES = \
	tests/unit/test_longpoll.c channel/longpoll.c
tests_broken_dead_is_unknown_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_DEAD_IS_UNKNOWN
tests_broken_dead_is_unknown_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_dead_is_unknown_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_delete_at_leave_SOURCES = \
	tests/unit/test_interleave.c channel/post_frames.c
tests_broken_delete_at_leave_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_DELETE_AT_LEAVE
tests_broken_delete_at_leave_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_delete_at_leave_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_head_is_hub_SOURCES = \
	tests/unit/test_session.c channel/member.c
tests_broken_head_is_hub_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_HEAD_IS_HUB
tests_broken_head_is_hub_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_head_is_hub_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_heads_cry_wolf_SOURCES = \
	tests/unit/test_resume.c channel/session.c
tests_broken_heads_cry_wolf_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_HEADS_CRY_WOLF
tests_broken_heads_cry_wolf_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_heads_cry_wolf_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_heads_cry_wolf_longpoll_SOURCES = \
	tests/unit/test_resume_poll.c channel/heads.c
tests_broken_heads_cry_wolf_longpoll_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_HEADS_CRY_WOLF
tests_broken_heads_cry_wolf_longpoll_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_heads_cry_wolf_longpoll_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_leave_does_not_wait_SOURCES = \
	tests/unit/test_session.c channel/member.c
tests_broken_leave_does_not_wait_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_LEAVE_DOES_NOT_WAIT
tests_broken_leave_does_not_wait_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_leave_does_not_wait_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_live_null_ref_SOURCES = \
	tests/unit/test_interleave.c channel/stream.c
tests_broken_live_null_ref_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_LIVE_NULL_REF
tests_broken_live_null_ref_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_live_null_ref_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_key_SOURCES = \
	tests/unit/test_once.c channel/once.c
tests_broken_no_key_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_KEY
tests_broken_no_key_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_key_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_key_longpoll_SOURCES = \
	tests/unit/test_once_poll.c channel/once.c
tests_broken_no_key_longpoll_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_KEY
tests_broken_no_key_longpoll_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_key_longpoll_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_key_plain_SOURCES = \
	tests/unit/test_publishing.c channel/once.c
tests_broken_no_key_plain_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_KEY
tests_broken_no_key_plain_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_key_plain_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_page_says_head_SOURCES = \
	tests/unit/test_events.c channel/page.c
tests_broken_page_says_head_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_PAGE_SAYS_HEAD
tests_broken_page_says_head_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_page_says_head_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_partly_published_SOURCES = \
	tests/unit/test_publishing.c channel/publishing.c
tests_broken_partly_published_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_PARTLY_PUBLISHED
tests_broken_partly_published_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_partly_published_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_session_bell_SOURCES = \
	tests/unit/test_longpoll.c channel/waiting.c
tests_broken_no_session_bell_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_SESSION_BELL
tests_broken_no_session_bell_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_session_bell_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_older_goes_on_SOURCES = \
	tests/unit/test_interleave.c channel/post_frames.c
tests_broken_older_goes_on_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_OLDER_GOES_ON
tests_broken_older_goes_on_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_older_goes_on_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_older_poll_stays_SOURCES = \
	tests/unit/test_longpoll.c channel/longpoll.c
tests_broken_older_poll_stays_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_OLDER_POLL_STAYS
tests_broken_older_poll_stays_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_older_poll_stays_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_post_acknowledges_SOURCES = \
	tests/unit/test_interleave.c channel/post.c
tests_broken_post_acknowledges_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_POST_ACKNOWLEDGES
tests_broken_post_acknowledges_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_post_acknowledges_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_rate_forgotten_SOURCES = \
	tests/unit/test_rate_poll.c channel/post.c
tests_broken_rate_forgotten_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_RATE_FORGOTTEN
tests_broken_rate_forgotten_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_rate_forgotten_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_reply_cursor_is_head_SOURCES = \
	tests/unit/test_session.c channel/resume.c
tests_broken_reply_cursor_is_head_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_REPLY_CURSOR_IS_HEAD
tests_broken_reply_cursor_is_head_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_reply_cursor_is_head_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_stale_post_SOURCES = \
	tests/unit/test_interleave.c channel/post.c
tests_broken_stale_post_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_STALE_POST
tests_broken_stale_post_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_stale_post_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_trim_unseen_SOURCES = \
	tests/unit/test_session.c channel/tail.c
tests_broken_trim_unseen_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_TRIM_UNSEEN
tests_broken_trim_unseen_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_trim_unseen_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_all_in_common_SOURCES = \
	tests/unit/test_longpoll_turn.c channel/stream.c
tests_broken_all_in_common_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_ALL_IN_COMMON
tests_broken_all_in_common_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_all_in_common_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_unkept_SOURCES = \
	tests/unit/test_longpoll_turn.c channel/longpoll_turn.c
tests_broken_unkept_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_UNKEPT
tests_broken_unkept_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_unkept_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_two_snapshots_SOURCES = \
	tests/unit/test_stream.c channel/stream.c
tests_broken_two_snapshots_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_TWO_SNAPSHOTS
tests_broken_two_snapshots_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_two_snapshots_LDADD = $(CHANNEL_TEST_LINK)

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

tests_broken_budget_forgets_nothing_SOURCES = \
	tests/unit/test_holding.c schema/holds.c
tests_broken_budget_forgets_nothing_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_BUDGET_FORGETS_NOTHING
tests_broken_budget_forgets_nothing_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_budget_forgets_nothing_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_news_only_with_room_SOURCES = \
	tests/unit/test_longpoll_hold.c channel/longpoll.c
tests_broken_news_only_with_room_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NEWS_ONLY_WITH_ROOM
tests_broken_news_only_with_room_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_news_only_with_room_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_halving_SOURCES = \
	tests/unit/test_holding.c channel/holding.c
tests_broken_no_halving_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_HALVING
tests_broken_no_halving_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_no_halving_LDADD = $(CHANNEL_TEST_LINK)

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

tests_broken_lease_endless_SOURCES = \
	tests/unit/test_leases.c channel/leases.c
tests_broken_lease_endless_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_LEASE_ENDLESS
tests_broken_lease_endless_CFLAGS = $(BROKEN_CFLAGS)
tests_broken_lease_endless_LDADD = $(CHANNEL_TEST_LINK)

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
