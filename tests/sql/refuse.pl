# refuse.pl JOURNAL <cases: see refusals.sh
use strict;
use warnings;
use DBI;

my $db = DBI->connect("dbi:SQLite:dbname=$ARGV[0]", '', '', { RaiseError => 1, PrintError => 0 });
while (my $line = <STDIN>) {
    chomp $line;
    my @first = split /\t/, $line;
    my $sql = pop @first;
    $db->do('BEGIN IMMEDIATE');
    $db->do($_) for @first;
    eval { $db->do($sql) };
    print $@ =~ /^DBD::SQLite::db do failed: (.*) at \S+ line/ ? $1 : $@ || 'taken', "\n";
    $db->do('ROLLBACK');
}
