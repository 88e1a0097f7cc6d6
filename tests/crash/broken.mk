# Whole programs with one rule taken out, as in tests/broken: crash.mjs must end
# with the judge's complaint. What a variant does not name is the good program.
CRASH_BROKEN_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS) -Wno-unused
crash_broken_programs = \
	tests/crash/broken/ack_before_commit/holdfast-gateway \
	tests/crash/broken/ack_before_commit/holdfast-sidecar \
	tests/crash/broken/ids_reused/holdfast \
	tests/crash/broken/ids_reused/holdfast-gateway \
	tests/crash/broken/ids_reused/holdfast-sidecar \
	tests/crash/broken/no_watermark/holdfast-gateway \
	tests/crash/broken/no_watermark/holdfast-sidecar \
	tests/crash/broken/react_once/holdfast \
	tests/crash/broken/react_once/holdfast-gateway \
	tests/crash/broken/react_once/holdfast-sidecar \
	tests/crash/broken/replay_null_ref/holdfast-gateway \
	tests/crash/broken/replay_null_ref/holdfast-sidecar

tests_crash_broken_ack_before_commit_holdfast_gateway_SOURCES = \
	gateway/main.c schema/writer.c
tests_crash_broken_ack_before_commit_holdfast_gateway_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_ACK_BEFORE_COMMIT
tests_crash_broken_ack_before_commit_holdfast_gateway_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_ack_before_commit_holdfast_gateway_LDADD = $(GATEWAY_LINK)

tests_crash_broken_ack_before_commit_holdfast_sidecar_SOURCES = \
	sidecar/main.c schema/writer.c channel/push.c
tests_crash_broken_ack_before_commit_holdfast_sidecar_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_ACK_BEFORE_COMMIT
tests_crash_broken_ack_before_commit_holdfast_sidecar_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_ack_before_commit_holdfast_sidecar_LDADD = $(SIDECAR_LINK)

tests_crash_broken_ids_reused_holdfast_SOURCES = \
	cli/main.c schema/history.c
tests_crash_broken_ids_reused_holdfast_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_IDS_REUSED
tests_crash_broken_ids_reused_holdfast_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_ids_reused_holdfast_LDADD = $(CLI_LINK)

tests_crash_broken_ids_reused_holdfast_gateway_SOURCES = \
	gateway/main.c schema/history.c
tests_crash_broken_ids_reused_holdfast_gateway_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_IDS_REUSED
tests_crash_broken_ids_reused_holdfast_gateway_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_ids_reused_holdfast_gateway_LDADD = $(GATEWAY_LINK)

tests_crash_broken_ids_reused_holdfast_sidecar_SOURCES = \
	sidecar/main.c schema/history.c
tests_crash_broken_ids_reused_holdfast_sidecar_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_IDS_REUSED
tests_crash_broken_ids_reused_holdfast_sidecar_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_ids_reused_holdfast_sidecar_LDADD = $(SIDECAR_LINK)

tests_crash_broken_no_watermark_holdfast_gateway_SOURCES = \
	gateway/main.c channel/stream.c
tests_crash_broken_no_watermark_holdfast_gateway_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_NO_WATERMARK
tests_crash_broken_no_watermark_holdfast_gateway_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_no_watermark_holdfast_gateway_LDADD = $(GATEWAY_LINK)

tests_crash_broken_no_watermark_holdfast_sidecar_SOURCES = \
	sidecar/main.c channel/deliver.c
tests_crash_broken_no_watermark_holdfast_sidecar_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_NO_WATERMARK
tests_crash_broken_no_watermark_holdfast_sidecar_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_no_watermark_holdfast_sidecar_LDADD = $(SIDECAR_LINK)

tests_crash_broken_react_once_holdfast_SOURCES = \
	cli/main.c schema/wake.c
tests_crash_broken_react_once_holdfast_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REACT_ONCE
tests_crash_broken_react_once_holdfast_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_react_once_holdfast_LDADD = $(CLI_LINK)

tests_crash_broken_react_once_holdfast_gateway_SOURCES = \
	gateway/main.c schema/wake.c
tests_crash_broken_react_once_holdfast_gateway_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REACT_ONCE
tests_crash_broken_react_once_holdfast_gateway_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_react_once_holdfast_gateway_LDADD = $(GATEWAY_LINK)

tests_crash_broken_react_once_holdfast_sidecar_SOURCES = \
	sidecar/main.c schema/wake.c
tests_crash_broken_react_once_holdfast_sidecar_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REACT_ONCE
tests_crash_broken_react_once_holdfast_sidecar_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_react_once_holdfast_sidecar_LDADD = $(SIDECAR_LINK)

tests_crash_broken_replay_null_ref_holdfast_gateway_SOURCES = \
	gateway/main.c channel/row.c
tests_crash_broken_replay_null_ref_holdfast_gateway_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REPLAY_NULL_REF
tests_crash_broken_replay_null_ref_holdfast_gateway_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_replay_null_ref_holdfast_gateway_LDADD = $(GATEWAY_LINK)

tests_crash_broken_replay_null_ref_holdfast_sidecar_SOURCES = \
	sidecar/main.c channel/row.c
tests_crash_broken_replay_null_ref_holdfast_sidecar_CPPFLAGS = \
	$(AM_CPPFLAGS) -DHF_BROKEN_REPLAY_NULL_REF
tests_crash_broken_replay_null_ref_holdfast_sidecar_CFLAGS = $(CRASH_BROKEN_CFLAGS)
tests_crash_broken_replay_null_ref_holdfast_sidecar_LDADD = $(SIDECAR_LINK)

EXTRA_PROGRAMS += $(crash_broken_programs)
CLEANFILES += $(crash_broken_programs)
LONG_TESTS += tests/crash/caught.sh
EXTRA_DIST += tests/crash/caught.sh tests/crash/broken.mk

check-crash-caught: all $(crash_broken_programs)
	$(MAKE) $(AM_MAKEFLAGS) check TEST_SECONDS=1200 \
	  TESTS=tests/crash/caught.sh
.PHONY: check-crash-caught
