# www/ - the browser side, installed below $(pkgdatadir)/www as it is
# build.mjs makes four of them of holdfast.js and holdfast.d.ts
EXTRA_DIST += www/build.mjs
nobase_dist_pkgdata_DATA += \
	www/LICENSE \
	www/README.md \
	www/holdfast.cjs \
	www/holdfast.d.cts \
	www/holdfast.d.ts \
	www/holdfast.js \
	www/holdfast.min.js \
	www/package.json \
	www/demos/chat/README.md \
	www/demos/chat/chat.css \
	www/demos/chat/chat.js \
	www/demos/chat/index.html \
	www/examples/since/README.md \
	www/examples/since/index.php
