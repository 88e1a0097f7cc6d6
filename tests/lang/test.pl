# test.pl - lang/perl/Holdfast.pm on a journal, beside the command line
#
#     perl test.pl FOLDER-OF-THE-MODULE JOURNAL-DIRECTORY
use strict;
use warnings;
use utf8;

use DBI;
use Digest::SHA qw(hmac_sha256_hex);
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use JSON::PP;
use MIME::Base64;
use Test::More;
use Time::HiRes;

my ($library, $journal) = @ARGV;
unshift @INC, $library;
require Holdfast;
binmode $_, ':encoding(UTF-8)' for \*STDOUT, map { Test::More->builder->$_ } qw(output failure_output);

$ENV{HOLDFAST_DIR} = $journal;
my $holdfast = Holdfast->new($journal);
my $strange = qq(it's "é" \x{1f600}\x{2028}<b>\\);

# A program's output, in bytes, without the line break at its end.
sub run {
    my (@command) = @_;
    my $pid = open my $from, '-|';
    if (!$pid) { open STDERR, '>&', \*STDOUT; utf8::encode($_) for @command; exec @command or exit 127 }
    my $said = do { local $/; <$from> };
    close $from or die "@command: $said";
    $said = '' unless defined $said;
    $said =~ s/\n\z//;
    return $said;
}

sub kept { return map { decode_json($_) } split /\n/, run('holdfast', 'tail', '--once', $_[0]) }
sub payloads { return [map { $_->{payload} } kept($_[0])] }
sub sql { return run('sqlite3', "$journal/journal.db", $_[0]) }

sub write_file {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!";
    print $file $text;
    close $file;
}

sub refused {
    my ($reason, $words, $body, $name) = @_;
    my $got = eval { $body->(); 1 } ? 'not refused' : ref $@ ? $@->reason : $@;
    my $said = "$@";
    is $got, $reason, $name || "refused: $reason $words";
    ok index($said, $words) >= 0, '... in these words' or diag $said;
}

sub nested { my $value = 1; $value = [$value] for 1 .. $_[0]; return $value }

subtest 'a message is kept, and its cursor returned' => sub {
    my $cursor = $holdfast->publish('room:a', 'new_msg', {body => $strange});
    my ($row) = kept('room:a');
    is $row->{cursor}, $cursor;
    is $row->{event}, 'new_msg';
    is_deeply $row->{payload}, {body => $strange};
    $holdfast->publish("room:é\x{1f600}", "é", 1);
    is sql("SELECT hex(topic || event) FROM messages WHERE topic LIKE 'room:é%'"),
        uc unpack('H*', do { my $text = "room:é\x{1f600}é"; utf8::encode($text); $text });
};

subtest 'a payload is any JSON; without one it is {}, and bytes are bytes' => sub {
    for my $payload ('text', '7', 1.5, 7, JSON::PP::true, undef, [1, 2], [], {}, Holdfast->bytes("\0\xff'")) {
        $holdfast->publish('room:any', 'e', $payload);
    }
    $holdfast->publish('room:any', 'e');
    my $rows = sql("SELECT kind || CASE kind WHEN 1 THEN hex(payload) ELSE payload END FROM messages
                    WHERE topic = 'room:any' ORDER BY id");
    is_deeply [split /\n/, $rows],
        ['0"text"', '0"7"', '01.5', '07', '0true', '0null', '0[1,2]', '0[]', '0{}', '100FF27', '0{}'];
};

subtest 'many are published in their order, or none' => sub {
    my $one = sub { return {topic => 'room:many', event => 'n', payload => $_[0]} };
    my @cursors = $holdfast->publish_many(map { $one->($_) } 1 .. 500);
    is_deeply payloads('room:many'), [1 .. 500];
    is_deeply [map { $_->{cursor} } kept('room:many')], \@cursors;
    refused('refused by the journal', 'topic: a text is needed', sub {
        $holdfast->publish_many($one->(501), {topic => '', event => 'n', payload => 1}, $one->(502));
    });
    is scalar(kept('room:many')), 500;
    is_deeply [$holdfast->publish_many], [];
    refused('too many lines', '1000', sub { $holdfast->publish_many(map { $one->($_) } 0 .. 1000) });
};

subtest 'the same key again changes nothing and gives the first cursor' => sub {
    my %order = map { $_ => 1 } 'a' .. 'z';
    my $first = $holdfast->publish('orders', 'paid', \%order, key => 'paid-1');
    $holdfast->publish('orders', 'other', 2);
    for (1 .. 5) {    # Perl gives a hash in another order each time
        my %again = map { $_ => 1 } reverse 'a' .. 'z';
        is $holdfast->publish('orders', 'paid', \%again, key => 'paid-1'), $first;
    }
    is scalar(kept('orders')), 2;
    refused('key_reused', 'used before', sub { $holdfast->publish('orders', 'paid', 3, key => 'paid-1') });
    Holdfast->new($journal, publisher => 'billing')->publish('orders', 'paid', 4, key => 'paid-1');
    is scalar(kept('orders')), 3;
    is $holdfast->publish('orders', 'n', 1, key => '0'), $holdfast->publish('orders', 'n', 1, key => '0');
};

subtest 'what is wrong is refused with a reason and the words of the journal' => sub {
    for (
        ['refused by the journal', 'event: phx_*', 'room:w', 'phx_reply', 1],
        ['refused by the journal', 'longer than 200 bytes', 'x' x 201, 'e', 1],
        ['payload too large', 'max_payload', 'room:w', 'e', 'x' x 70000],
        ['malformed', 'UTF-8', "room:\x{d83d}", 'e', 1],
        ['malformed', 'UTF-8', 'room:w', 'e', {body => "\x{d83d}"}],
        ['malformed', 'topic: a text', undef, 'e', 1],
        ['malformed', 'event: a text', 'room:w', [], 1],
        ['malformed', 'JSON', 'room:w', 'e', sub { }],
        ['malformed', 'no kez', 'room:w', 'e', 1, kez => 1],
    ) {
        my ($reason, $words, @with) = @$_;
        no warnings 'surrogate';
        refused($reason, $words, sub { $holdfast->publish(@with) });
    }
    refused('refused by the journal', 'JSON', sub { $holdfast->publish('room:w', 'e', 9**9**9) });
    refused('malformed', 'needs its payload', sub { $holdfast->publish_many({topic => 't', event => 'e'}) });
    is_deeply payloads('room:w'), [];
};

subtest '128 levels are delivered, 129 refused' => sub {
    $holdfast->publish('room:deep', 'e', nested(128));
    refused('malformed', 'JSON', sub { $holdfast->publish('room:deep', 'e', nested(129)) });
    is scalar(kept('room:deep')), 1;
};

subtest 'skip is kept, and disconnect says what holdfast disconnect says' => sub {
    $holdfast->publish('room:skip', 'e', 1, skip => 'client-1');
    is sql("SELECT skip FROM messages WHERE topic = 'room:skip'"), 'client-1';
    $holdfast->disconnect('alice');
    run('holdfast', 'disconnect', 'alice');
    is sql("SELECT event || payload FROM messages WHERE topic = 'user_socket:alice'"), "disconnect{}\ndisconnect{}";
};

# --- when the journal is busy, away or another one -----------------------------

subtest 'it waits for its turn as long as it was told to' => sub {
    my $other = DBI->connect("dbi:SQLite:dbname=$journal/journal.db", '', '', {RaiseError => 1});
    $other->do('BEGIN IMMEDIATE');
    my $began = Time::HiRes::time();
    refused('busy', 'locked', sub { Holdfast->new($journal, timeout => 1)->publish('room:busy', 'e', 1) });
    ok Time::HiRes::time() - $began > 0.7;
    $other->do('COMMIT');
    $holdfast->publish('room:busy', 'e', 2);
    is_deeply payloads('room:busy'), [2];
};

subtest 'it publishes nothing while the disk has lost a write' => sub {
    write_file("$journal/failed", '');
    refused('journal_failed', 'rescue', sub { $holdfast->publish('room:failed', 'e', 1) });
    unlink "$journal/failed";
    $holdfast->publish('room:failed', 'e', 2);
    is_deeply payloads('room:failed'), [2];
};

subtest 'a journal that was put in the place of the open one is used from then on' => sub {
    run('holdfast', 'init', "$journal-b");
    my $other = Holdfast->new("$journal-b");
    my $before = $other->publish('room:a', 'e', 1);
    remove_tree("$journal-b");
    refused('setup', 'no journal', sub { $other->publish('room:a', 'e', 2) });
    ok !-e "$journal-b";
    run('holdfast', 'init', "$journal-b");
    my $after = $other->publish('room:a', 'e', 3);
    s/\..*// for $before, $after;
    isnt $after, $before;
};

subtest 'a fork has a connection of its own' => sub {
    my $child = fork;
    if (!$child) { $holdfast->publish('room:fork', 'e', 'child'); require POSIX; POSIX::_exit(0) }
    waitpid $child, 0;
    $holdfast->publish('room:fork', 'e', 'parent');
    is_deeply payloads('room:fork'), ['child', 'parent'];
};

# --- pages ---------------------------------------------------------------------

subtest 'a page has the newest messages, the oldest first, and the cursor behind them' => sub {
    is_deeply $holdfast->page('room:page')->{messages}, [];
    my @cursors = map { $holdfast->publish('room:page', $_ % 2 ? 'odd' : 'even', {n => $_, é => 'é'}) } 1 .. 5;
    $holdfast->publish('room:page', 'odd', Holdfast->bytes("\0"));
    my $page = $holdfast->page('room:page', 4);
    my @messages = @{$page->{messages}};
    is_deeply [map { $_->{cursor} } @messages], [@cursors[2 .. 4], $page->{cursor}];
    is_deeply $messages[0]{payload}, {n => 3, é => 'é'};
    is $messages[3]{payload}->bytes, "\0";
    ok abs($messages[0]{at} - time * 1000) < 600000;
    is_deeply [map { $_->{payload}{n} } @{$holdfast->page('room:page', 9, 'even')->{messages}}], [2, 4];
    is $holdfast->cursor, $page->{cursor};
    $holdfast->publish('room:page', 'odd', 6);
    my $went_on = run('holdfast', 'tail', '--once', '--since', $page->{cursor}, 'room:page');
    is decode_json($went_on)->{payload}, 6;
    refused('invalid last', '', sub { $holdfast->page('room:page', 1001) });
};

subtest 'a page passes over what no reader delivers' => sub {
    $holdfast->publish('room:torn', 'e', 1);
    sql("INSERT INTO messages (topic, event, payload) VALUES ('room:torn', 'e', '\"\\ud800\"'),
         ('room:torn', 'e', CAST(x'22ff22' AS TEXT))");
    is_deeply [map { $_->{payload} } @{$holdfast->page('room:torn')->{messages}}], [1];
};

# --- tokens ----------------------------------------------------------------------

subtest 'a token says who and what, and Holdfast takes it' => sub {
    my $token = $holdfast->token('al ice é', {'room:*' => ['join', 'publish'], 0 => 'presence'}, 60);
    my $said = run('holdfast', 'token', '--inspect', $token);
    utf8::decode($said);
    ok index($said, $_) >= 0, $_ for 'al ice é', 'room:*', '"join","publish"', '["presence"]';
    like run('holdfast', 'token', '--inspect', $holdfast->token(undef, {}, 60)), qr/^valid/;
    like run('holdfast', 'token', '--inspect', $holdfast->token(42)), qr/^sub\s+42$/m;
};

subtest 'a token is signed with the newest secret' => sub {
    run('holdfast', 'token', '--add-key', 'EdDSA', '--kid', 'e1');    # passed over: not one of ours
    like run('holdfast', 'token', '--inspect', $holdfast->token('bob')), qr/^valid/;
    run('holdfast', 'token', '--add-key', 'HS256', '--kid', 'new');
    my $token = $holdfast->token('bob');
    like run('holdfast', 'token', '--inspect', $token), qr/^kid\s+new$/m;
};

subtest 'a slip in what a token allows is refused' => sub {
    refused('setup', 'rights of room:*', sub { $holdfast->token('bob', {'room:*' => ['jion']}) });
    refused('setup', 'rights of room:*', sub { $holdfast->token('bob', {'room:*' => []}) });
    refused('setup', 'control characters', sub { $holdfast->token("a\nb") });
    my ($claims) = $holdfast->token('a', {}, 60.5) =~ /\.(.*)\./;    # whole seconds are what Holdfast takes
    like(MIME::Base64::decode_base64($claims =~ tr{-_}{+/}r), qr/"exp":[0-9]+,/, 'whole seconds');
    refused('setup', '128 bytes', sub { $holdfast->token('é' x 65) });
    refused('setup', 'seconds', sub { $holdfast->token('bob', {}, 0) });
};

subtest 'keys can lie elsewhere, and then no journal is needed' => sub {
    copy("$journal/keys.json", 'copied.json');
    my $away = Holdfast->new('https://example.com/socket', keys => 'copied.json');
    like run('holdfast', 'token', '--inspect', $away->token('bob')), qr/^valid/;
    for my $text ('{"keys":[]}', '{}', '[]', 'no') {
        write_file('copied.json', $text);
        refused('setup', '--add-key HS256', sub { $away->token('bob') });
    }
    unlink 'copied.json';
    refused('setup', 'copied.json cannot be read', sub { $away->token('bob') });
};

# --- hooks -------------------------------------------------------------------------

my $secret = do { open my $file, '<', "$journal/hook_secret" or die; local $/; <$file> };
$secret =~ s/\s+\z//;

sub signed {
    my ($body, $with, $at) = (@_, $secret)[0, 1, 2];
    $at = $_[2] || time;
    return "t=$at,v1=" . hmac_sha256_hex("$at.$body", $with);
}

subtest 'a call is taken from who knows the secret, and now' => sub {
    my $body = '{"hook":"push","payload":{"_binary":"AP8="}}';
    my $call = $holdfast->call($body, signed($body));
    is $call->{hook}, 'push';
    is $call->{payload}->bytes, "\0\xff";
    for (
        ["$body ", signed($body)], [$body, signed($body, 'x')], [$body, signed($body, $secret, time - 400)],
        [$body, signed($body, $secret, time + 400)], [$body, ''], [$body, undef], [$body, signed($body) . "\n"],
        ['x', signed('x')], ['{}', signed('{}')], ["\xff", signed("\xff")],
    ) {
        my ($text, $signature) = @$_;
        refused('signature', '', sub { $holdfast->call($text, $signature) });
    }
    write_file('empty', '');
    refused('signature', '', sub { Holdfast->new($journal, secret => 'empty')->call($body, signed($body, '')) });
};

# By a Perl of its own, as a web server starts it.
sub ask {
    my ($body, $signature) = @_;
    my $script = 'use Holdfast; Holdfast->new->answer(sub { my ($call) = @_; die "no join\n" if $call->{hook} eq "join";
        return {status => "ok", response => {"you said" => $call->{payload}}} })';
    write_file('body', $body);
    local @ENV{qw(CONTENT_LENGTH HTTP_HOLDFAST_SIGNATURE)} = (length $body, $signature);
    return run('sh', '-c', 'exec "$0" "$@" <body 2>stderr', $^X, "-I$library", '-e', $script);
}

subtest 'a CGI program answers, refuses strangers and survives its mistakes' => sub {
    my ($push, $join) = ('{"hook":"push","payload":"é"}', '{"hook":"join"}');
    utf8::encode($push);
    my $answer = ask($push, signed($push));
    like $answer, qr/\AStatus: 200 OK\r\n.*Content-Length: 44\r\n\r\n/s;
    is_deeply decode_json($answer =~ s/.*\r\n\r\n//sr), {status => 'ok', response => {'you said' => 'é'}};
    like ask($push, signed($join)), qr/\AStatus: 403 Forbidden\r\n.*: 0\r\n\r\z/s;
    like ask($join, signed($join)), qr/\AStatus: 500 Internal Server Error\r\n.*: 0\r\n\r\z/s;
    is run('cat', 'stderr'), 'holdfast: no join';
};

# --- where the journal is ---------------------------------------------------------------

sub found {
    local %ENV = (%ENV, @_);
    delete $ENV{HOLDFAST_DIR} unless {@_}->{HOLDFAST_DIR};
    return run('sh', '-c', 'cd found && exec "$0" "$@"', $^X, '-I.', '-e',
        'use Holdfast; print eval { Holdfast->new->directory } || $@');
}

subtest 'the directory is found as the gateway finds it' => sub {
    chomp(my $here = run('pwd'));
    my $home = "$here/plhome";
    mkdir $_ for 'found', $home, "$home/holdfast";
    copy("$library/Holdfast.pm", 'found/Holdfast.pm');
    like found(HOME => $home), qr/which journal directory\?/;
    write_file("$home/holdfast/journal.db", '');
    is found(HOME => $home), "$home/holdfast";
    is found(HOLDFAST_DIR => '~/said', HOME => $home), "$home/said";
    for (['/writ ten' => '/writ ten'], ['below' => "$here/found/below"], ['~/there' => "$home/there"]) {
        write_file('found/.htholdfast', "dir = $_->[0]\n");
        is found(HOME => $home), $_->[1];
    }
    is found(HOLDFAST_DIR => '/said'), '/said';
    for my $wrong ("dir =\n", "x = y\n", "dir = a\ndir = b\n", '') {
        write_file('found/.htholdfast', $wrong);
        like found(), qr/one line/;
    }
    chmod 0666, 'found/.htholdfast';
    like found(), qr/others may write it/;
};

subtest 'what is missing on this machine is said' => sub {
    refused('setup', 'option tokn', sub { Holdfast->new('', tokn => 'x') });
    refused('setup', 'no journal', sub { Holdfast->new('/nowhere')->publish('room:a', 'e', 1) });
    refused('setup', 'URL only', sub { Holdfast->new('https://example.com/socket')->token('a') });
};

done_testing;
