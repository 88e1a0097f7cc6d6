# gateway/ - long-poll over FastCGI or plain CGI
#
# In bindir like the rest: a web server starts it by its full path, and people
# without root, who link it into a cgi-bin folder, have no sbin on their PATH.
noinst_LIBRARIES += libgateway.a
libgateway_a_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
libgateway_a_SOURCES = \
	gateway/cgi.c gateway/cgi.h \
	gateway/doctor.c gateway/doctor.h \
	gateway/fcgi.c gateway/fcgi.h \
	gateway/fcgi_conn.c gateway/fcgi_conn.h \
	gateway/fcgi_parse.c gateway/fcgi_parse.h \
	gateway/fcgi_record.c gateway/fcgi_record.h \
	gateway/founding.c gateway/founding.h \
	gateway/html.c gateway/html.h \
	gateway/options.c gateway/options.h \
	gateway/pages.h \
	gateway/probe.c gateway/probe.h \
	gateway/probe_facts.c gateway/probe_facts.h \
	gateway/request.c gateway/request.h \
	gateway/resident.c gateway/resident.h \
	gateway/respond.c gateway/respond.h \
	gateway/route.c gateway/route.h \
	gateway/serve.c gateway/serve.h \
	gateway/setup.c gateway/setup.h \
	gateway/signals.c gateway/signals.h \
	gateway/spot.c gateway/spot.h \
	gateway/turn_away.c gateway/turn_away.h \
	gateway/visit.c gateway/visit.h

# Pages of the owner, embedded: who uploads one program has no other file of
# ours. Each becomes `const char hf_page_<folder>_<name>[]`, which
# gateway/pages.h declares.
gateway_pages = www/setup/frame.html www/setup/page.css www/setup/setup.js \
	www/setup/prove.html www/setup/resume.html www/setup/rights.html \
	www/setup/test.html www/setup/done.html www/setup/nowhere.html \
	www/setup/said.html \
	www/doctor/doctor.html www/doctor/doctor.css www/doctor/doctor.js
EXTRA_DIST += $(gateway_pages)
nodist_libgateway_a_SOURCES = gateway/pages.c
CLEANFILES += gateway/pages.c

gateway/pages.c: build-aux/embed-pages $(gateway_pages)
	$(AM_V_GEN)$(MKDIR_P) gateway && \
	  $(AWK) -f $(srcdir)/build-aux/embed-pages \
	    $(gateway_pages:%=$(srcdir)/%) >$@.tmp && mv $@.tmp $@

GATEWAY_LINK = libgateway.a $(CHANNEL_LINK) $(FCGI_LIBS)

bin_PROGRAMS += holdfast-gateway
holdfast_gateway_SOURCES = gateway/main.c
holdfast_gateway_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
holdfast_gateway_LDADD = $(GATEWAY_LINK)
