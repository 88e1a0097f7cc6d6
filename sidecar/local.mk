# sidecar/ - WebSockets over libmicrohttpd; in bindir for the reason given in
# gateway/local.mk
bin_PROGRAMS += holdfast-sidecar
holdfast_sidecar_SOURCES = sidecar/main.c
holdfast_sidecar_LDADD = $(SIDECAR_LINK)

# A library so that tests can be linked with it.
noinst_LIBRARIES += libsidecar.a
libsidecar_a_SOURCES = \
	sidecar/echo.c sidecar/echo.h \
	sidecar/accept.c sidecar/accept.h \
	sidecar/counters.c sidecar/counters.h \
	sidecar/door.c sidecar/door.h \
	sidecar/drain.c sidecar/drain.h \
	sidecar/handshake.c sidecar/handshake.h \
	sidecar/http.c sidecar/http.h sidecar/http_impl.h \
	sidecar/http_answer.c \
	sidecar/limits.h \
	sidecar/listen.c sidecar/listen.h \
	sidecar/meter.c sidecar/meter.h \
	sidecar/metrics.c sidecar/metrics.h \
	sidecar/monitor.c sidecar/monitor.h \
	sidecar/parent.c sidecar/parent.h \
	sidecar/prometheus.c sidecar/prometheus.h \
	sidecar/ready.c sidecar/ready.h \
	sidecar/relay.c sidecar/relay.h \
	sidecar/request.c sidecar/request.h \
	sidecar/service.c sidecar/service.h \
	sidecar/tend.c sidecar/tend.h \
	sidecar/tls.c sidecar/tls.h \
	sidecar/upgrade.c sidecar/upgrade.h \
	sidecar/visitors.c sidecar/visitors.h \
	sidecar/wire.c sidecar/wire.h \
	sidecar/worker.c sidecar/worker.h \
	sidecar/ws_conn.c sidecar/ws_conn.h sidecar/ws_conn_impl.h \
	sidecar/ws_frame.c sidecar/ws_frame.h \
	sidecar/ws_out.c sidecar/ws_out.h \
	sidecar/ws_pause.c \
	sidecar/ws_read.c \
	sidecar/ws_silence.c \
	sidecar/ws_write.c
libsidecar_a_CFLAGS = $(AM_CFLAGS) $(MHD_CFLAGS) $(TLS_CFLAGS)

SIDECAR_LINK = libsidecar.a $(CHANNEL_LINK) $(MHD_LIBS) $(TLS_LIBS)
