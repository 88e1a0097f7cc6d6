# www/ - the browser side, installed below $(pkgdatadir)/www as it is
# build.mjs makes five of them of holdfast.js and holdfast.d.ts
EXTRA_DIST += www/build.mjs
nobase_dist_pkgdata_DATA += \
	www/LICENSE \
	www/README.md \
	www/holdfast.cjs \
	www/holdfast.d.cts \
	www/holdfast.d.ts \
	www/holdfast.js \
	www/holdfast.min.js \
	www/holdfast.solo.min.js \
	www/package.json \
	www/demos/README.md \
	www/demos/both.css \
	www/demos/both.html \
	www/demos/demos.css \
	www/demos/icon.svg \
	www/demos/index.css \
	www/demos/index.html \
	www/demos/me.js \
	www/demos/panel.js \
	www/demos/plug.js \
	www/demos/chat/README.md \
	www/demos/chat/chat.css \
	www/demos/chat/chat.js \
	www/demos/chat/index.html \
	www/demos/game/README.md \
	www/demos/game/game.css \
	www/demos/game/game.js \
	www/demos/game/index.html \
	www/demos/game/rules.js \
	www/demos/ticker/README.md \
	www/demos/ticker/index.html \
	www/demos/ticker/ticker.css \
	www/demos/ticker/ticker.js \
	www/demos/ticker/ticker.php \
	www/examples/plain-php/README.md \
	www/examples/plain-php/index.php \
	www/examples/since/README.md \
	www/examples/since/index.php \
	www/examples/wordpress/README.md \
	www/examples/wordpress/holdfast-live.php \
	www/examples/wordpress/live.js \
	www/inspector/README.md \
	www/inspector/index.html \
	www/inspector/inspector.css \
	www/inspector/inspector.js \
	www/inspector/record.js
