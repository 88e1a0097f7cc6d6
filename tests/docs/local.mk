# tests/docs/ - the code blocks of the documentation, run by tests/js/docs.test.js
EXTRA_DIST += tests/docs/README.md tests/docs/blocks.mjs tests/docs/story.mjs \
	tests/docs/micropython.mjs tests/docs/micropython
