use strict;
use warnings;
use DBI;

my ($journal, $topic, $name, $count, $pause) = @ARGV;
$| = 1;
my $db = DBI->connect("dbi:SQLite:dbname=$journal", '', '', {RaiseError => 1, AutoCommit => 1});
$db->sqlite_busy_timeout(5000);
my $insert = $db->prepare('INSERT INTO messages(topic, event, payload) VALUES (?, ?, ?)');
for my $i (1 .. $count) {
    $insert->execute($topic, 'note', qq({"uid":"$name-$i"}));
    print "$name-$i ", $db->sqlite_last_insert_rowid(), "\n";
    select(undef, undef, undef, $pause / 1000);
}
