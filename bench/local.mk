# bench/ - numbers, never pass or fail; `make bench` builds the programs
bench_programs = bench/cgi bench/cgi_empty bench/cgi_floor \
	bench/corruption bench/fanout_ws bench/frame bench/ingest bench/members \
	bench/steady bench/tail bench/wake bench/writer \
	bench/ws_floor bench/ws_insert bench/ws_load
if HAVE_JANSSON
bench_programs += bench/json
bench_floor = -DFLOOR_JANSSON
endif
EXTRA_PROGRAMS += bench/cgi bench/cgi_empty bench/cgi_floor \
	bench/corruption bench/fanout_ws bench/frame bench/ingest bench/json \
	bench/members bench/steady bench/tail bench/wake bench/writer \
	bench/ws_floor bench/ws_insert bench/ws_load
CLEANFILES += bench/cgi bench/cgi_empty bench/cgi_floor \
	bench/corruption bench/fanout_ws bench/frame bench/ingest bench/json \
	bench/members bench/steady bench/tail bench/wake bench/writer \
	bench/ws_floor bench/ws_insert bench/ws_load
bench_cgi_floor_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
bench_cgi_floor_LDADD = $(FCGI_LIBS) $(SQLITE_LIBS)
bench_corruption_LDADD = $(SCHEMA_LINK)
bench_fanout_ws_LDADD = $(SCHEMA_LINK)
bench_frame_CPPFLAGS = $(AM_CPPFLAGS) $(bench_floor)
bench_frame_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
bench_frame_LDADD = $(CHANNEL_LINK) $(JANSSON_LIBS)
bench_ingest_LDADD = $(SCHEMA_LINK)
bench_json_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
bench_json_LDADD = $(BASE_LINK) $(JANSSON_LIBS)
bench_members_LDADD = $(CHANNEL_LINK)
bench_steady_LDADD = $(SCHEMA_LINK)
bench_tail_LDADD = $(SCHEMA_LINK)
bench_wake_LDADD = $(SCHEMA_LINK)
bench_writer_LDADD = $(SCHEMA_LINK)
bench_ws_floor_SOURCES = bench/ws_floor.c bench/load/wire.c bench/load/wire.h
bench_ws_floor_LDADD = $(BASE_LINK) $(SQLITE_LIBS)
bench_ws_insert_SOURCES = bench/ws_insert.c bench/load/times.c \
	bench/load/times.h
bench_ws_insert_LDADD = $(SQLITE_LIBS)
bench_ws_load_SOURCES = bench/ws_load.c bench/load/churn.c bench/load/client.c \
	bench/load/fleet.c bench/load/fleet.h bench/load/times.c \
	bench/load/times.h bench/load/stream.c bench/load/stream.h \
	bench/load/wire.c bench/load/wire.h
bench_ws_load_LDADD = $(BASE_LINK) -lssl -lcrypto
EXTRA_DIST += bench/RESULTS.md bench/frame.sh bench/cgi.mjs bench/heap.c bench/idle_ws.js bench/idle_wss.mjs bench/joins.mjs \
	bench/replay.mjs bench/parked.js bench/pollers.mjs \
	bench/fanout.mjs bench/fanout_ws.mjs bench/hostile.mjs bench/restart.mjs bench/syscalls.js \
	bench/load/drive.mjs bench/ws_joins.mjs bench/ws_latency.mjs bench/ws_storm.mjs bench/soak.mjs \
	bench/tabs.mjs bench/ws_workers.mjs \
	bench/holds.mjs bench/holds_plot.mjs bench/lab.mjs \
	bench/latency.mjs bench/latency.php \
	bench/waiters.mjs bench/waiters.php

bench: $(bench_programs)
.PHONY: bench
