# gateway/ - long-poll over FastCGI or plain CGI
#
# In bindir like the rest: a web server starts it by its full path, and people
# without root, who link it into a cgi-bin folder, have no sbin on their PATH.
noinst_LIBRARIES += libgateway.a
libgateway_a_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
libgateway_a_SOURCES = \
	gateway/cgi.c gateway/cgi.h \
	gateway/fcgi.c gateway/fcgi.h \
	gateway/fcgi_conn.c gateway/fcgi_conn.h \
	gateway/fcgi_parse.c gateway/fcgi_parse.h \
	gateway/fcgi_record.c gateway/fcgi_record.h \
	gateway/options.c gateway/options.h \
	gateway/request.c gateway/request.h \
	gateway/resident.c gateway/resident.h \
	gateway/respond.c gateway/respond.h \
	gateway/route.c gateway/route.h \
	gateway/serve.c gateway/serve.h \
	gateway/signals.c gateway/signals.h \
	gateway/turn_away.c gateway/turn_away.h
GATEWAY_LINK = libgateway.a $(CHANNEL_LINK) $(FCGI_LIBS)

bin_PROGRAMS += holdfast-gateway
holdfast_gateway_SOURCES = gateway/main.c
holdfast_gateway_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
holdfast_gateway_LDADD = $(GATEWAY_LINK)
