# www/ - the browser side, installed below $(pkgdatadir)/www as it is
nobase_dist_pkgdata_DATA += \
	www/holdfast.js \
	www/package.json \
	www/demos/chat/README.md \
	www/demos/chat/chat.css \
	www/demos/chat/chat.js \
	www/demos/chat/index.html \
	www/examples/since/README.md \
	www/examples/since/index.php
