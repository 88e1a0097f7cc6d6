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
	docs/PROTOCOL.md docs/PUBLISHING.md \
	docs/SIDECAR.md \
	docs/SQL.md \
	docs/TOKENS.md \
	docs/TRANSPORTS.md \
	docs/TROUBLES.md \
	docs/TUNING.md
EXTRA_DIST += docs/hosts docs/screenshots
dist_man_MANS += \
	docs/man/holdfast.1 \
	docs/man/holdfast-gateway.8 \
	docs/man/holdfast-sidecar.8 \
	docs/man/holdfast.conf.5

# What bash offers behind `holdfast`.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = docs/completion/holdfast
