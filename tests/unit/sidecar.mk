# Unit tests of sidecar/: a line in unit_tests and the two below for each.
unit_tests += \
	tests/unit/test_accept \
	tests/unit/test_conformance \
	tests/unit/test_counters \
	tests/unit/test_drain \
	tests/unit/test_handshake \
	tests/unit/test_http \
	tests/unit/test_prometheus \
	tests/unit/test_sidecar_listen \
	tests/unit/test_parent \
	tests/unit/test_relay \
	tests/unit/test_tend \
	tests/unit/test_tls \
	tests/unit/test_upgrade \
	tests/unit/test_visitors \
	tests/unit/test_ws_conn \
	tests/unit/test_ws_frame \
	tests/unit/test_ws_out

SIDECAR_TEST_LINK = $(SIDECAR_LINK) $(CMOCKA_LIBS)

tests_unit_test_accept_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_accept_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_counters_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_counters_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_drain_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_drain_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_handshake_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_handshake_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_http_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_http_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_sidecar_listen_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sidecar_listen_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_parent_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_parent_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_prometheus_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_prometheus_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_relay_SOURCES = tests/unit/test_relay.c tests/unit/tls_fixture.h
tests_unit_test_relay_CFLAGS = $(UNIT_CFLAGS) $(TLS_CFLAGS)
tests_unit_test_relay_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_tend_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tend_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c tests/unit/tls_fixture.h
tests_unit_test_tls_CFLAGS = $(UNIT_CFLAGS) $(TLS_CFLAGS)
tests_unit_test_tls_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_upgrade_CFLAGS = $(UNIT_CFLAGS) $(MHD_CFLAGS)
tests_unit_test_upgrade_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_visitors_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_visitors_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_ws_conn_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ws_conn_LDADD = $(SIDECAR_TEST_LINK)
tests_unit_test_ws_frame_SOURCES = tests/unit/test_ws_frame.c \
	tests/unit/ws_trace.h
tests_unit_test_ws_frame_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ws_frame_LDADD = $(SIDECAR_TEST_LINK)
# wslay is the oracle of two
if HAVE_WSLAY
tests_unit_test_ws_frame_CFLAGS += -DHF_HAVE_WSLAY
tests_unit_test_ws_frame_LDADD += $(WSLAY_LIBS)
endif
tests_unit_test_conformance_SOURCES = tests/unit/test_conformance.c \
	tests/unit/ws_cases.h tests/unit/ws_heard.h
tests_unit_test_conformance_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_conformance_LDADD = $(SIDECAR_TEST_LINK)
if HAVE_WSLAY
tests_unit_test_conformance_CFLAGS += -DHF_HAVE_WSLAY
tests_unit_test_conformance_LDADD += $(WSLAY_LIBS)
endif
EXTRA_DIST += tests/conformance
tests_unit_test_ws_out_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ws_out_LDADD = $(SIDECAR_TEST_LINK)
