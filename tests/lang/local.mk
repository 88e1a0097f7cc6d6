# tests/lang/ - the helpers of lang/, each run by its own interpreter; how they
# do with a web server is in tests/js/lang.test.js
TESTS += tests/lang/php.sh tests/lang/python.sh tests/lang/perl.sh \
	tests/lang/composer.sh
EXTRA_DIST += tests/lang/composer.sh tests/lang/call.php tests/lang/call.py tests/lang/call.pl \
	tests/lang/app.php tests/lang/app.py tests/lang/app.pl \
	tests/lang/php.sh tests/lang/tap.php tests/lang/test.php \
	tests/lang/python.sh tests/lang/test.py \
	tests/lang/perl.sh tests/lang/test.pl
