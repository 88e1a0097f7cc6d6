# lang/ - publish, pages, tokens and hooks in other languages: one file each, for
# copying; installed below $(pkgdatadir), in a folder for each language
phpdir = $(pkgdatadir)/php
dist_php_DATA = lang/php/holdfast.php lang/php/composer.json
python_helperdir = $(pkgdatadir)/python
dist_python_helper_DATA = lang/python/holdfast.py
perldir = $(pkgdatadir)/perl
dist_perl_DATA = lang/perl/Holdfast.pm
