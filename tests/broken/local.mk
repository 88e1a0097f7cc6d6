# tests/broken/ - tests that must fail: each program is a unit test built with
# one rule taken out (-DHF_BROKEN_...), and caught.sh asks that it is noticed. A
# checker that has never failed proves nothing.
#
# The source with the rule is compiled anew and so goes before its layer's
# library, where its own object is then not looked for.
broken_programs = \
	tests/broken/ack_before_commit \
	tests/broken/no_watermark \
	tests/broken/no_watermark_longpoll \
	tests/broken/replay_null_ref \
	tests/broken/replay_null_ref_longpoll

tests_broken_ack_before_commit_SOURCES = \
	tests/unit/test_session.c channel/push.c
tests_broken_ack_before_commit_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_ACK_BEFORE_COMMIT
tests_broken_ack_before_commit_CFLAGS = $(UNIT_CFLAGS)
tests_broken_ack_before_commit_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_watermark_SOURCES = \
	tests/unit/test_session.c channel/deliver.c
tests_broken_no_watermark_CPPFLAGS = $(AM_CPPFLAGS) -DHF_BROKEN_NO_WATERMARK
tests_broken_no_watermark_CFLAGS = $(UNIT_CFLAGS)
tests_broken_no_watermark_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_no_watermark_longpoll_SOURCES = \
	tests/unit/test_longpoll.c channel/stream.c
tests_broken_no_watermark_longpoll_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_NO_WATERMARK
tests_broken_no_watermark_longpoll_CFLAGS = $(UNIT_CFLAGS)
tests_broken_no_watermark_longpoll_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_replay_null_ref_SOURCES = \
	tests/unit/test_session.c channel/row.c
tests_broken_replay_null_ref_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REPLAY_NULL_REF
tests_broken_replay_null_ref_CFLAGS = $(UNIT_CFLAGS)
tests_broken_replay_null_ref_LDADD = $(CHANNEL_TEST_LINK)

tests_broken_replay_null_ref_longpoll_SOURCES = \
	tests/unit/test_longpoll.c channel/row.c
tests_broken_replay_null_ref_longpoll_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REPLAY_NULL_REF
tests_broken_replay_null_ref_longpoll_CFLAGS = $(UNIT_CFLAGS)
tests_broken_replay_null_ref_longpoll_LDADD = $(CHANNEL_TEST_LINK)

if HAVE_CMOCKA
check_PROGRAMS += $(broken_programs)
TESTS += tests/broken/caught.sh
endif
EXTRA_DIST += tests/broken/caught.sh
