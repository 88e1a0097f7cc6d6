# docs/ - the wire in numbered rules, web server recipes, the manual pages
# with their folders, so that links between them hold where they are installed
nobase_dist_doc_DATA = \
	docs/README.md \
	docs/CLIENT.md \
	docs/COMING-FROM.md \
	docs/CONFORMANCE.md \
	docs/DEMOS.md \
	docs/DEVICES.md \
	docs/FIRST-PAGE.md \
	docs/GUARANTEES.md \
	docs/HOLDS.md \
	docs/holds.svg \
	docs/HOOKS.md \
	docs/HOSTING.md \
	docs/HTTP.md \
	docs/install/ssh.md \
	docs/install/upload.md \
	docs/LOGINS.md \
	docs/MONITORING.md \
	docs/OPERATING.md \
	docs/PROTOCOL.md docs/PUBLISHING.md \
	docs/SIDECAR.md \
	docs/SQL.md \
	docs/TOKENS.md \
	docs/TRANSPORTS.md \
	docs/TROUBLES.md \
	docs/TUNING.md \
	docs/install/vps.md
nobase_dist_doc_DATA += \
	docs/hosts/apache-cgi.conf \
	docs/hosts/apache-event.conf \
	docs/hosts/apache-fcgid.conf \
	docs/hosts/haproxy.cfg \
	docs/hosts/holdfast-gateway.service \
	docs/hosts/holdfast-sidecar.service \
	docs/hosts/holdfast-sidecar.socket \
	docs/hosts/holdfast.cgi \
	docs/hosts/htaccess-cgi \
	docs/hosts/htaccess-fcgid \
	docs/hosts/htaccess-socket \
	docs/hosts/htaccess-upload \
	docs/hosts/htaccess-websocket \
	docs/hosts/lighttpd-cgi.conf \
	docs/hosts/lighttpd-ondemand.conf \
	docs/hosts/lighttpd-spawn.conf \
	docs/hosts/lighttpd.conf \
	docs/hosts/nginx.conf \
	docs/hosts/user/holdfast-gateway.service \
	docs/hosts/user/holdfast-sidecar.service \
	docs/hosts/user/holdfast-sidecar.socket
EXTRA_DIST += docs/hosts docs/screenshots
dist_man_MANS += \
	docs/man/holdfast.1 \
	docs/man/holdfast.7 \
	docs/man/holdfast-gateway.8 \
	docs/man/holdfast-journal.5 \
	docs/man/holdfast-operate.8 \
	docs/man/holdfast-sidecar.8 \
	docs/man/holdfast.conf.5

# What bash offers behind `holdfast`.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = docs/completion/holdfast
