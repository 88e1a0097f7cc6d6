# base/ - C library only; no Holdfast words
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/address.c base/address.h \
	base/buf.c base/buf.h \
	base/clock.c base/clock.h \
	base/conf.c base/conf.h \
	base/crypto.c base/crypto.h \
	base/err.c base/err.h \
	base/histogram.c base/histogram.h \
	base/json.c base/json.h base/json_unique.c \
	base/jwk.c base/jwk.h \
	base/jwt.c base/jwt.h \
	base/late.c base/late.h \
	base/list.h \
	base/log.c base/log.h \
	base/loop.c base/loop.h \
	base/map.c base/map.h \
	base/nearest.c base/nearest.h \
	base/notify.c base/notify.h \
	base/openssl.c base/openssl.h \
	base/params.c base/params.h \
	base/passed.c base/passed.h \
	base/query.c base/query.h \
	base/queue.c base/queue.h \
	base/script.c base/script.h \
	base/sha256.c base/sha256.h \
	base/standalone.c base/standalone.h \
	base/str.h \
	base/sys.c base/sys.h \
	base/unix_listener.c base/unix_listener.h \
	base/utf8.c base/utf8.h
