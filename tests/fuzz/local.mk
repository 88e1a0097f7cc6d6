# tests/fuzz/ - one program per decoder: fuzz_x.c holds LLVMFuzzerTestOneInput,
# driver.c a main() that feeds it corpus/x and mutations of it, so that any
# compiler will do. run.sh gives each a hundred thousand, long.sh millions.
#
# A target is a line in fuzz_programs and its two below.
fuzz_programs = \
	tests/fuzz/fuzz_body \
	tests/fuzz/fuzz_connect \
	tests/fuzz/fuzz_cursor \
	tests/fuzz/fuzz_events_query \
	tests/fuzz/fuzz_fcgi_record \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_frame_1 \
	tests/fuzz/fuzz_frame_binary \
	tests/fuzz/fuzz_handshake \
	tests/fuzz/fuzz_hook_answer \
	tests/fuzz/fuzz_join \
	tests/fuzz/fuzz_jwks \
	tests/fuzz/fuzz_jwt \
	tests/fuzz/fuzz_line \
	tests/fuzz/fuzz_origin \
	tests/fuzz/fuzz_params \
	tests/fuzz/fuzz_publication \
	tests/fuzz/fuzz_query \
	tests/fuzz/fuzz_row \
	tests/fuzz/fuzz_token \
	tests/fuzz/fuzz_utf8 \
	tests/fuzz/fuzz_ws_conn \
	tests/fuzz/fuzz_ws_frame

fuzz_driver = tests/fuzz/driver.c tests/fuzz/fuzz.h

tests_fuzz_fuzz_body_SOURCES = tests/fuzz/fuzz_body.c tests/fuzz/frames.h \
	$(fuzz_driver)
tests_fuzz_fuzz_body_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_connect_SOURCES = tests/fuzz/fuzz_connect.c tests/fuzz/keys.h \
	$(fuzz_driver)
tests_fuzz_fuzz_connect_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_cursor_SOURCES = tests/fuzz/fuzz_cursor.c $(fuzz_driver)
tests_fuzz_fuzz_cursor_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_events_query_SOURCES = tests/fuzz/fuzz_events_query.c \
	$(fuzz_driver)
tests_fuzz_fuzz_events_query_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_fcgi_record_SOURCES = tests/fuzz/fuzz_fcgi_record.c \
	$(fuzz_driver)
tests_fuzz_fuzz_fcgi_record_LDADD = $(GATEWAY_LINK)
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c tests/fuzz/frames.h \
	$(fuzz_driver)
tests_fuzz_fuzz_frame_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_frame_1_SOURCES = tests/fuzz/fuzz_frame_1.c \
	tests/fuzz/frames.h $(fuzz_driver)
tests_fuzz_fuzz_frame_1_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_frame_binary_SOURCES = tests/fuzz/fuzz_frame_binary.c \
	tests/fuzz/frames.h $(fuzz_driver)
tests_fuzz_fuzz_frame_binary_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_handshake_SOURCES = tests/fuzz/fuzz_handshake.c $(fuzz_driver)
tests_fuzz_fuzz_handshake_LDADD = $(SIDECAR_LINK)
tests_fuzz_fuzz_hook_answer_SOURCES = tests/fuzz/fuzz_hook_answer.c \
	$(fuzz_driver)
tests_fuzz_fuzz_hook_answer_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_join_SOURCES = tests/fuzz/fuzz_join.c $(fuzz_driver)
tests_fuzz_fuzz_join_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_jwks_SOURCES = tests/fuzz/fuzz_jwks.c $(fuzz_driver)
tests_fuzz_fuzz_jwks_LDADD = $(BASE_LINK)
tests_fuzz_fuzz_jwt_SOURCES = tests/fuzz/fuzz_jwt.c tests/fuzz/keys.h \
	$(fuzz_driver)
tests_fuzz_fuzz_jwt_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_line_SOURCES = tests/fuzz/fuzz_line.c $(fuzz_driver)
tests_fuzz_fuzz_line_LDADD = $(CLI_LINK)
tests_fuzz_fuzz_origin_SOURCES = tests/fuzz/fuzz_origin.c $(fuzz_driver)
tests_fuzz_fuzz_origin_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_params_SOURCES = tests/fuzz/fuzz_params.c $(fuzz_driver)
tests_fuzz_fuzz_params_LDADD = $(BASE_LINK)
tests_fuzz_fuzz_publication_SOURCES = tests/fuzz/fuzz_publication.c \
	$(fuzz_driver)
tests_fuzz_fuzz_publication_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_query_SOURCES = tests/fuzz/fuzz_query.c $(fuzz_driver)
tests_fuzz_fuzz_query_LDADD = $(BASE_LINK)
tests_fuzz_fuzz_row_SOURCES = tests/fuzz/fuzz_row.c $(fuzz_driver)
tests_fuzz_fuzz_row_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_token_SOURCES = tests/fuzz/fuzz_token.c $(fuzz_driver)
tests_fuzz_fuzz_token_LDADD = $(CHANNEL_LINK)
tests_fuzz_fuzz_utf8_SOURCES = tests/fuzz/fuzz_utf8.c $(fuzz_driver)
tests_fuzz_fuzz_utf8_LDADD = $(BASE_LINK)
tests_fuzz_fuzz_ws_conn_SOURCES = tests/fuzz/fuzz_ws_conn.c \
	tests/unit/ws_heard.h $(fuzz_driver)
tests_fuzz_fuzz_ws_conn_LDADD = $(SIDECAR_LINK)
tests_fuzz_fuzz_ws_frame_SOURCES = tests/fuzz/fuzz_ws_frame.c \
	tests/unit/ws_trace.h $(fuzz_driver)
tests_fuzz_fuzz_ws_frame_LDADD = $(SIDECAR_LINK)

# jansson is its oracle
if HAVE_JANSSON
fuzz_programs += tests/fuzz/fuzz_json
endif
EXTRA_PROGRAMS += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(fuzz_driver)
tests_fuzz_fuzz_json_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_json_LDADD = $(BASE_LINK) $(JANSSON_LIBS)

check_PROGRAMS += $(fuzz_programs)
TESTS += tests/fuzz/run.sh
LONG_TESTS += tests/fuzz/long.sh
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/long.sh tests/fuzz/corpus
