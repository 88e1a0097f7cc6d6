# docs/ - the wire in numbered rules, web server recipes, the manual pages
dist_doc_DATA += docs/CLIENT.md docs/CONFORMANCE.md docs/DEMOS.md docs/HOLDS.md docs/holds.svg docs/HOOKS.md docs/HOSTING.md docs/HTTP.md \
	docs/MONITORING.md docs/PROTOCOL.md docs/SQL.md \
	docs/TOKENS.md docs/TRANSPORTS.md docs/TROUBLES.md
EXTRA_DIST += docs/hosts docs/screenshots
dist_man_MANS += \
	docs/man/holdfast.1 \
	docs/man/holdfast-gateway.8 \
	docs/man/holdfast-sidecar.8 \
	docs/man/holdfast.conf.5
