# tests/js/ - the stock clients and a browser against the real programs, run by
# node --test with HOLDFAST_BIN naming the build folder; see ../../check
EXTRA_DIST += \
	tests/js/addresses.test.js \
	tests/js/attacks.test.js \
	tests/js/auth.test.js \
	tests/js/budget.test.js \
	tests/js/built.test.js \
	tests/js/checker.test.js \
	tests/js/client_channel.test.js \
	tests/js/client_choice.test.js \
	tests/js/client_faults.test.js \
	tests/js/client_life.test.js \
	tests/js/client_once.test.js \
	tests/js/client_presence.test.js \
	tests/js/client_server.test.js \
	tests/js/client_tabs.test.js \
	tests/js/client_token.test.js \
	tests/js/clients.test.js \
	tests/js/conformance.test.js \
	tests/js/crash.test.js \
	tests/js/demo.test.js \
	tests/js/demo_game.test.js \
	tests/js/demo_pages.test.js \
	tests/js/demo_ticker.test.js \
	tests/js/docs.test.js \
	tests/js/doctor.test.js \
	tests/js/exact.test.js \
	tests/js/explain.test.js \
	tests/js/examples.test.js \
	tests/js/fcgid.test.js \
	tests/js/forms.test.js \
	tests/js/gateway.test.js \
	tests/js/holdfast.test.js \
	tests/js/holds.test.js \
	tests/js/hooks.test.js \
	tests/js/hostile.test.js \
	tests/js/hosts.test.js \
	tests/js/hosts_apache.test.js \
	tests/js/inspect.test.js \
	tests/js/inspector.test.js \
	tests/js/lab.test.js \
	tests/js/lab_browser.test.js \
	tests/js/lab_proxies.test.js \
	tests/js/lang.test.js \
	tests/js/late.test.js \
	tests/js/leaving.test.js \
	tests/js/life_browser.test.js \
	tests/js/longpoll.test.js \
	tests/js/middlebox.test.js \
	tests/js/move.test.js \
	tests/js/monitor.test.js \
	tests/js/ondemand.test.js \
	tests/js/order.test.js \
	tests/js/package.test.js \
	tests/js/parity.test.js \
	tests/js/peers.test.js \
	tests/js/phoenix.test.js \
	tests/js/plain.test.js \
	tests/js/place.test.js \
	tests/js/presence.test.js \
	tests/js/publish.test.js \
	tests/js/realtime.test.js \
	tests/js/recipes.test.js \
	tests/js/recorded_app.test.js \
	tests/js/sidecar.test.js \
	tests/js/sidecar_kept.test.js \
	tests/js/sidecar_tls.test.js \
	tests/js/since.test.js \
	tests/js/tabs_browser.test.js \
	tests/js/tls.test.js \
	tests/js/transcripts.test.js \
	tests/js/types.test.js \
	tests/js/unreadable.test.js \
	tests/js/upload.test.js \
	tests/js/upgrade.test.js \
	tests/js/workers.test.js \
	tests/js/lib \
	tests/js/types \
	tests/js/.npmrc \
	tests/js/package.json \
	tests/js/package-lock.json

# What they read and start.
EXTRA_DIST += tests/js/run-all tests/hosts tests/model tests/peers tests/publishers \
	tests/transcripts
