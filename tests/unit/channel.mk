# Unit tests of channel/: a line in unit_tests and the two below for each.
unit_tests += \
	tests/unit/test_findings \
	tests/unit/test_front \
	tests/unit/test_asking \
	tests/unit/test_body \
	tests/unit/test_connect \
	tests/unit/test_cursor \
	tests/unit/test_dispatch \
	tests/unit/test_encode \
	tests/unit/test_events \
	tests/unit/test_events_query \
	tests/unit/test_holding \
	tests/unit/test_hook_answer \
	tests/unit/test_hub \
	tests/unit/test_hooks \
	tests/unit/test_identity \
	tests/unit/test_interleave \
	tests/unit/test_keeper \
	tests/unit/test_keeper_poll \
	tests/unit/test_leases \
	tests/unit/test_longpoll \
	tests/unit/test_longpoll_forms \
	tests/unit/test_longpoll_hold \
	tests/unit/test_longpoll_turn \
	tests/unit/test_msg \
	tests/unit/test_once \
	tests/unit/test_once_poll \
	tests/unit/test_origin \
	tests/unit/test_ownership \
	tests/unit/test_post_hooks \
	tests/unit/test_presence_poll \
	tests/unit/test_presence_session \
	tests/unit/test_process \
	tests/unit/test_proto \
	tests/unit/test_publication \
	tests/unit/test_publishing \
	tests/unit/test_rate \
	tests/unit/test_rate_poll \
	tests/unit/test_reading \
	tests/unit/test_reaper \
	tests/unit/test_resume \
	tests/unit/test_resume_poll \
	tests/unit/test_rights \
	tests/unit/test_ring \
	tests/unit/test_row \
	tests/unit/test_session \
	tests/unit/test_session_forms \
	tests/unit/test_stream \
	tests/unit/test_token \
	tests/unit/test_topic \
	tests/unit/test_user \
	tests/unit/test_waiting

tests_unit_test_asking_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_asking_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_body_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_body_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_connect_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_connect_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_cursor_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_cursor_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_dispatch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_dispatch_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_encode_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_encode_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_events_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_events_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_events_query_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_events_query_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_holding_SOURCES = \
	tests/unit/test_holding.c tests/unit/schema_fixture.h
tests_unit_test_holding_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_holding_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_hook_answer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hook_answer_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_hooks_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hooks_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_identity_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_identity_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_interleave_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_interleave_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_keeper_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_keeper_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_keeper_poll_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_keeper_poll_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_leases_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_leases_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_longpoll_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_longpoll_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_longpoll_hold_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_longpoll_hold_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_longpoll_turn_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_longpoll_turn_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_longpoll_forms_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_longpoll_forms_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_msg_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_msg_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_once_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_once_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_once_poll_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_once_poll_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_origin_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_origin_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_ownership_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ownership_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_post_hooks_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_post_hooks_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_presence_poll_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_presence_poll_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_presence_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_presence_session_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_process_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_process_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_proto_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_proto_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_publication_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_publication_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_publishing_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_publishing_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_rate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rate_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_rate_poll_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rate_poll_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_hub_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hub_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_reading_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reading_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_reaper_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reaper_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_resume_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_resume_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_resume_poll_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_resume_poll_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_rights_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rights_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_ring_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ring_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_row_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_row_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_session_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_session_forms_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_session_forms_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_stream_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_stream_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_token_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_token_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_topic_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_topic_LDADD = $(CHANNEL_TEST_LINK)
EXTRA_DIST += tests/unit/hook_app.h tests/unit/hook_room.h \
	tests/unit/journal_fixture.h tests/unit/longpoll_fixture.h \
	tests/unit/plain_fixture.h \
	tests/unit/session_fixture.h
tests_unit_test_user_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_user_LDADD = $(CHANNEL_TEST_LINK)
tests_unit_test_waiting_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_waiting_LDADD = $(CHANNEL_TEST_LINK)

tests_unit_test_findings_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_findings_LDADD = $(CHANNEL_TEST_LINK)

tests_unit_test_front_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_front_LDADD = $(CHANNEL_TEST_LINK)
