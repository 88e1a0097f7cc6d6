# debian/ - the Debian package; `dpkg-buildpackage -us -uc` makes it
#
# File by file, for building it leaves others here.
EXTRA_DIST += \
	debian/README.Debian \
	debian/changelog \
	debian/control \
	debian/copyright \
	debian/holdfast.holdfast-gateway.service \
	debian/holdfast.holdfast-gateway.socket \
	debian/holdfast.holdfast-sidecar.service \
	debian/holdfast.holdfast-sidecar.socket \
	debian/holdfast.links \
	debian/holdfast.lintian-overrides \
	debian/holdfast.postinst \
	debian/holdfast.postrm \
	debian/holdfast.prerm \
	debian/recipe \
	debian/rules \
	debian/source/format \
	debian/source/lintian-overrides \
	debian/tests/control \
	debian/tests/first-message
