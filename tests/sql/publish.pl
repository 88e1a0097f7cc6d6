use strict;
use warnings;
use DBI;

my ($journal, $topic, $event, $payload) = @ARGV;

my $db = DBI->connect("dbi:SQLite:dbname=$journal", '', '',
    { RaiseError => 1, PrintError => 0 });
$db->sqlite_busy_timeout(5000);
$db->do('INSERT INTO messages (topic, event, payload) VALUES (?, ?, ?)',
    undef, $topic, $event, $payload);
