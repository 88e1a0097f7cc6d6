package Holdfast;

# Holdfast for Perl 5.16 or later, in one file; the manual is at its end
# MIT License, Copyright (c) 2026 The Holdfast authors

use strict;
use warnings;

use Cwd ();
use Digest::SHA ();
use Encode ();
use File::Basename ();
use JSON::PP ();
use MIME::Base64 ();
use Scalar::Util ();
use Time::HiRes ();

our $VERSION = '0.1.0';

use constant {
    MANY       => 1000,       # messages of one publish_many
    DEPTH      => 128,        # arrays and objects inside each other
    ANSWER_MAX => 8 << 20,    # bytes of an answer over HTTP
    HOOK_MAX   => 4 << 20,    # bytes of a hook's request
    HOOK_AGE   => 300,        # seconds that its clock may differ
};

my %options = (token => '', timeout => 5, publisher => 'application', keys => '', secret => '');

sub new {
    my ($class, @given) = @_;
    my $where = @given % 2 ? shift @given : '';
    my %given = @given;
    for my $name (sort keys %given) {
        _fail('setup', "there is no option $name") unless exists $options{$name};
    }
    $where =~ s{(?<=.)/+\z}{};
    return bless {%options, %given, where => $where}, $class;
}

sub bytes { return bless {bytes => $_[-1]}, 'Holdfast::Bytes' }

# --- publish -----------------------------------------------------------------

sub publish {
    my ($self, $topic, $event, @more) = @_;
    my $payload = @more % 2 ? shift @more : {};
    my ($cursor) = $self->publish_many({topic => $topic, event => $event, payload => $payload, @more});
    return $cursor;
}

sub publish_many {
    my ($self, @messages) = @_;
    _checked($_) for @messages;
    _fail('too many lines', MANY . ' messages at once, not more') if @messages > MANY;
    return unless @messages;
    return $self->_is_url ? $self->_post(@messages) : $self->_insert(@messages);
}

sub disconnect { return $_[0]->publish("user_socket:$_[1]", 'disconnect') }

# --- pages -------------------------------------------------------------------

sub page {
    my ($self, $topic, $last, $event) = @_;
    $last = 50 unless defined $last;
    _fail('invalid last', 'last: 0 to 1000') unless $last =~ /\A[0-9]{1,4}\z/ && $last <= 1000;
    return $self->_is_url ? $self->_page_by_http($topic, $last, $event) : $self->_page_by_sql($topic, $last, $event);
}

sub cursor {
    my ($self, $topic) = @_;
    return $self->page($topic, 0)->{cursor} if $self->_is_url;
    my $db = $self->_database;
    return _said(sub { _head($db) });
}

sub _page_by_sql {
    my ($self, $topic, $last, $event) = @_;
    my $db = $self->_database;
    my ($cursor, $rows) = _within($db, 'BEGIN', sub {
        return _head($db), $db->selectall_arrayref(
            'SELECT id, topic, event, payload, kind, at FROM messages
             WHERE topic = ?1 AND (?2 IS NULL OR event = ?2) ORDER BY id DESC LIMIT ?3',
            undef, _text($topic), defined $event ? _text($event) : undef, $last);
    });
    my @messages;
    for my $row (reverse @$rows) {
        my ($id, $its_topic, $its_event, $payload, $kind, $at) = @$row;
        # what no reader delivers is passed over
        my $value = $kind ? bytes($payload) : eval { \_read_json($payload) } || next;
        push @messages, {
            cursor => _place($cursor, $id), topic => Encode::decode('UTF-8', $its_topic),
            event  => Encode::decode('UTF-8', $its_event), payload => $kind ? $value : $$value, at => $at
        };
    }
    return {cursor => $cursor, messages => \@messages};
}

sub _page_by_http {
    my ($self, $topic, $last, $event) = @_;
    my $query = '/events?hold=0&topic=' . _escaped(_text($topic));
    my $from = $last ? "&last=$last" : '';
    my @messages;
    while (1) {    # an answer has 500 messages at most, and a page 1,000
        my $answer = $self->_http('GET', "$query$from");
        for my $message (@{$answer->{messages} || []}) {
            next if defined $event && $message->{event} ne $event;
            push @messages, {%$message, payload => _bytes_of($message->{payload})};
        }
        if (!$last || !$answer->{more} || @messages >= $last) {
            splice @messages, 0, @messages - $last if @messages > $last;
            return {cursor => $answer->{cursor}, messages => \@messages};
        }
        $from = "&since=$answer->{cursor}";
    }
}

# --- tokens ------------------------------------------------------------------

sub token {
    my ($self, $user, $topics, $seconds) = @_;
    ($user, $topics, $seconds) = (defined $user ? $user : '', $topics || {}, defined $seconds ? $seconds : 3600);
    my %claims = (iat => time, exp => time + int $seconds, topics => {});
    for my $pattern (keys %$topics) {
        my @rights = ref $topics->{$pattern} ? @{$topics->{$pattern}} : $topics->{$pattern};
        _fail('setup', "rights of $pattern: a list of join, publish, presence")
            if !@rights || grep { !/\A(?:join|publish|presence)\z/ } @rights;
        $claims{topics}{$pattern} = \@rights;
    }
    _fail('setup', 'a token has a user of at most 128 bytes without control characters, and seconds to live')
        if length(_text($user)) > 128 || $user =~ /[\x00-\x1f\x7f]/ || $seconds < 1;
    $claims{sub} = "$user" if $user ne '';

    my $key = $self->_key;
    my %head = (alg => 'HS256', typ => 'JWT', defined $key->{kid} ? (kid => $key->{kid}) : ());
    my $token = _base64url(_json(\%head)) . '.' . _base64url(_json(\%claims));
    (my $secret = $key->{k}) =~ tr{-_}{+/};
    return "$token." . _base64url(Digest::SHA::hmac_sha256($token, MIME::Base64::decode_base64($secret)));
}

# The first secret of keys.json, which is the one that signs.
sub _key {
    my ($self) = @_;
    my $path = $self->{keys} || $self->directory . '/keys.json';
    my $set = eval { JSON::PP->new->utf8->decode(_contents($path)) };
    _fail('setup', "$@") if Scalar::Util::blessed($@) && $@->isa('Holdfast::Error');
    my @keys = ref $set eq 'HASH' && ref $set->{keys} eq 'ARRAY' ? @{$set->{keys}} : ();
    my ($key) = grep { ref $_ eq 'HASH' && ($_->{kty} || '') eq 'oct' && defined $_->{k} } @keys;
    return $key if $key;
    _fail('setup', "$path: no key for HS256; `holdfast token --add-key HS256` makes one");
}

# --- hooks -------------------------------------------------------------------

sub call {
    my ($self, $body, $signature) = @_;
    (my $secret = _contents($self->{secret} || $self->directory . '/hook_secret')) =~ s/\s+\z//;
    my ($at, $given) = (defined $signature ? $signature : '') =~ /\At=([0-9]{1,15}),v1=([0-9a-f]{64})\z/;
    my $right = defined $at && $secret ne '' && length $body <= HOOK_MAX && abs(time - $at) <= HOOK_AGE
        && _same(Digest::SHA::hmac_sha256_hex("$at.$body", $secret), $given);
    my $call = $right ? eval { _read_json($body) } : undef;
    _fail('signature', 'a request that Holdfast has not signed with this secret')
        unless ref $call eq 'HASH' && defined $call->{hook} && !ref $call->{hook};
    $call->{payload} = _bytes_of($call->{payload}) if exists $call->{payload};
    return $call;
}

sub reply {
    my ($self, $answer) = @_;
    return _json($answer || {}, 3);
}

sub answer {
    my ($self, $decide) = @_;
    my $length = ($ENV{CONTENT_LENGTH} || '') =~ /\A([0-9]{1,9})\z/ && $1 <= HOOK_MAX ? $1 : 0;
    binmode $_ for \*STDIN, \*STDOUT;
    my ($body, $status) = ('', '200 OK');
    while (length $body < $length) {
        last unless read STDIN, $body, $length - length $body, length $body;
    }
    my $answer = eval { $self->reply($decide->($self->call($body, $ENV{HTTP_HOLDFAST_SIGNATURE}))) };
    if (my $error = $@) {
        my $stranger = Scalar::Util::blessed($error) && $error->isa('Holdfast::Error') && $error->reason eq 'signature';
        $status = $stranger ? '403 Forbidden' : '500 Internal Server Error';
        $error =~ s/\s+\z//;
        warn "holdfast: $error\n";
    }
    $answer = '' unless defined $answer;
    print "Status: $status\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n",
        'Content-Length: ' . length($answer) . "\r\n\r\n", $answer;
    return;
}

# Without telling by the time it takes how much of it was right.
sub _same {
    my ($one, $other) = @_;
    my $differs = length $one ^ length $other;
    $differs |= ord(substr $one, $_, 1) ^ ord(substr $other, $_, 1) for 0 .. 63;
    return !$differs;
}

# --- by SQL ------------------------------------------------------------------

sub _insert {
    my ($self, @messages) = @_;
    _fail('journal_failed', 'the disk has lost a write; run `holdfast check --rescue`')
        if -e $self->directory . '/failed';
    my @rows;
    for my $m (@messages) {    # encoded before anybody else has to wait for us
        my $bytes = _is_bytes($m->{payload});
        push @rows, [
            _text($m->{topic}), _text($m->{event}), $bytes ? $m->{payload}{bytes} : _json($m->{payload}), $bytes ? 1 : 0,
            defined $m->{key} ? (_text($self->{publisher}), _text($m->{key})) : (undef, undef),
            defined $m->{skip} ? _text($m->{skip}) : undef
        ];
    }
    my $db = $self->_database;
    return _within($db, 'BEGIN IMMEDIATE', sub {
        my $head = _head($db);
        my $insert = $db->prepare('INSERT INTO messages (topic, event, payload, kind, publisher, key, skip)
                                   VALUES (?, ?, ?, ?, ?, ?, ?)');
        return map {
            my @row = @$_;
            # DBD::SQLite would take a text of digits for a number
            $insert->bind_param($_ + 1, $row[$_], $_ == 3 ? DBI::SQL_INTEGER() : $_ == 2 && $row[3] ? DBI::SQL_BLOB()
                : DBI::SQL_VARCHAR()) for 0 .. $#row;
            $insert->execute;
            # a repeat inserts nothing: ask for the first one
            _place($head, defined $row[5]
                ? $db->selectrow_array('SELECT id FROM messages WHERE publisher = ? AND key = ?', undef, @row[4, 5])
                : $db->sqlite_last_insert_rowid);
        } @rows;
    });
}

# A connection; a new one after a restore, which puts another file there, and
# after a fork.
sub _database {
    my ($self) = @_;
    my $path = $self->directory . '/journal.db';
    my @stat = stat $path or _fail('setup', "$path: there is no journal, or it cannot be reached" . _who_we_are());
    my $now = "$stat[0] $stat[1] $$";
    if (($self->{opened} || '') ne $now) {
        eval { require DBI; require DBD::SQLite; DBD::SQLite->VERSION('1.59'); 1 }
            or _fail('setup', 'Perl needs DBI and DBD::SQLite 1.59 or later (Debian: libdbd-sqlite3-perl)');
        _said(sub {
            my $attributes = {RaiseError => 1, PrintError => 0, AutoCommit => 1, AutoInactiveDestroy => 1,
                sqlite_open_flags => DBD::SQLite::OPEN_READWRITE()};
            $self->{db} = DBI->connect("dbi:SQLite:uri=file:" . _escaped($path), '', '', $attributes);
            $self->{db}->sqlite_busy_timeout(int($self->{timeout} * 1000));
        });
        $self->{opened} = $now;
    }
    return $self->{db};
}

# One transaction, which is never left open.
sub _within {
    my ($db, $begin, $do) = @_;
    return _said(sub {
        my @result = eval { $db->do($begin); my @got = $do->(); $db->do('COMMIT'); @got };
        if (my $error = $@) {
            my @what = ($db->err, $db->errstr);
            # a BEGIN that failed is one to DBI, too; and SQLite may have ended it
            eval { $db->rollback } if !$db->{AutoCommit};
            die $error if ref $error;
            _said_by_sqlite(@what, $error);
        }
        return wantarray ? @result : $result[0];
    });
}

sub _said {
    my ($do) = @_;
    my @result = eval { $do->() };
    if (my $error = $@) {
        die $error if ref $error;
        no warnings 'once';    # DBI is loaded when it is needed
        _said_by_sqlite($DBI::err, $DBI::errstr, $error);
    }
    return wantarray ? @result : $result[0];
}

# SQLite's errors in our words.
sub _said_by_sqlite {
    my ($code, $words, $else) = @_;
    $code = 0 unless $code;
    $code &= 255;
    $words = $else unless defined $words && length $words;
    my %reasons = (5 => 'busy', 6 => 'busy', 10 => 'journal_failed', 11 => 'journal_failed', 13 => 'journal_full',
        19 => 'refused by the journal', 26 => 'journal_failed');
    my $reason = $reasons{$code} || 'setup';
    $reason = 'key_reused' if $code == 19 && $words =~ /\Akey: used before/;
    $reason = 'payload too large' if $code == 19 && $words =~ /\Apayload: longer/;
    _fail($reason, $words . ($reason eq 'setup' ? _who_we_are() : ''));
}

sub _head {
    my ($db) = @_;
    my ($epoch, $seq) = $db->selectrow_array("SELECT (SELECT value FROM meta WHERE name = 'epoch'), seq
                                              FROM sqlite_sequence WHERE name = 'messages'");
    return 'j:' . _base64url(pack 'H*', $epoch) . ".$seq";
}

sub _place {
    my ($cursor, $id) = @_;
    $cursor =~ s/[0-9]+\z/$id/;
    return $cursor;
}

# --- what is published, either way -------------------------------------------

sub _checked {
    my ($message) = @_;
    for my $name (sort keys %$message) {
        _fail('malformed', "a message has no $name") unless $name =~ /\A(?:topic|event|payload|key|skip)\z/;
        next if $name eq 'payload' || ($name =~ /\A(?:key|skip)\z/ && !defined $message->{$name});
        _fail('malformed', "$name: a text is needed") if !defined $message->{$name} || ref $message->{$name};
        _text($message->{$name});
    }
    for my $name (qw(topic event payload)) {
        _fail('malformed', "a message needs its $name") unless exists $message->{$name};
    }
    return;
}

# Characters as bytes.
sub _text {
    my ($text) = @_;
    my $copy = "$text";
    my $bytes = eval { Encode::encode('UTF-8', $copy, Encode::FB_CROAK()) };
    _fail('malformed', 'a text that UTF-8 cannot say') unless defined $bytes;
    return $bytes;
}

# $around: arrays and objects of ours that are around what is yours. In one order,
# so that a repeat is the same text.
sub _json {
    my ($value, $around) = @_;
    my $json = JSON::PP->new->canonical->allow_nonref->convert_blessed->max_depth(DEPTH + ($around || 0));
    my $text = eval { $json->encode($value) };
    _fail('malformed', "JSON: $@") unless defined $text;
    return _text($text);
}

# Dies if it is none, or not UTF-8.
sub _read_json {
    my ($bytes) = @_;
    my $copy = $bytes;
    my $text = Encode::decode('UTF-8', $copy, Encode::FB_CROAK());
    my $value = JSON::PP->new->allow_nonref->max_depth(DEPTH + 16)->decode($text);
    _text(JSON::PP->new->allow_nonref->max_depth(DEPTH + 16)->encode($value));    # no half surrogate pairs
    return $value;
}

# {"_binary": "..."} is how JSON says bytes.
sub _bytes_of {
    my ($payload) = @_;
    return $payload unless ref $payload eq 'HASH' && join(' ', keys %$payload) eq '_binary' && !ref $payload->{_binary};
    return $payload unless $payload->{_binary} =~ m{\A(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\z};
    return bytes(MIME::Base64::decode_base64($payload->{_binary}));
}

sub _is_bytes { return Scalar::Util::blessed($_[0]) && $_[0]->isa('Holdfast::Bytes') }

sub _base64url {
    my $text = MIME::Base64::encode_base64($_[0], '');
    $text =~ tr{+/=}{-_}d;
    return $text;
}

sub _escaped {
    my ($bytes) = @_;
    utf8::encode($bytes) if utf8::is_utf8($bytes);
    $bytes =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ge;
    return $bytes;
}

# --- over HTTP ---------------------------------------------------------------

sub _is_url { return $_[0]->{where} =~ m{\Ahttps?://}i }

# Each line has a key, so that it may be sent again whatever has happened.
sub _post {
    my ($self, @messages) = @_;
    my $lines = '';
    for my $m (@messages) {
        _fail('malformed', 'skip: by SQL only') if defined $m->{skip};
        my $key = defined $m->{key} ? $m->{key} : _unguessable();
        $lines .= _json({topic => "$m->{topic}", event => "$m->{event}", payload => $m->{payload}, key => "$key"}, 1) . "\n";
    }
    my $cursors = $self->_http('POST', '/publish', $lines)->{cursors};
    _fail('no answer', 'an answer without cursors: is this the URL of the mount?')
        unless ref $cursors eq 'ARRAY' && @$cursors == @messages;
    return @$cursors;
}

sub _unguessable {
    open my $random, '<:raw', '/dev/urandom' or _fail('setup', "/dev/urandom: $!");
    (read($random, my $bytes, 16) || 0) == 16 or _fail('setup', '/dev/urandom gives nothing');
    return _base64url($bytes);
}

# Asks until there is an answer or the time is over. Only what is safe to send
# again comes here.
sub _http {
    my ($self, $method, $path, $body) = @_;
    my $until = Time::HiRes::time() + $self->{timeout};
    for (my $pause = 0.1;; $pause *= 2) {
        my $left = $until - Time::HiRes::time();
        my ($status, $wait, $text) = $self->_ask($method, $self->{where} . $path, $body, $left > 0.1 ? $left : 0.1);
        my $answer = eval { _read_json($text) };
        return $answer if $status == 200 && ref $answer eq 'HASH';
        my $least = $pause * (0.5 + rand 0.5);
        $wait = $least if $wait < $least;
        my $again = $status =~ /\A(?:0|200|408|429|5..)\z/;
        _refuse($status, $answer, $text) if !$again || Time::HiRes::time() + $wait >= $until;
        Time::HiRes::sleep($wait);
    }
}

sub _refuse {
    my ($status, $answer, $text) = @_;
    my $error = ref $answer eq 'HASH' && ref $answer->{error} eq 'HASH' ? $answer->{error} : {};
    if (defined $error->{reason}) {
        my $line = defined $error->{line} ? "message $error->{line}: " : '';
        _fail($error->{reason}, $line . (defined $error->{message} ? $error->{message} : $error->{reason}));
    }
    _fail('no answer', "no answer over HTTP: $text") if $status == 0;
    _fail('no answer', "status $status of HTTP, and no answer of Holdfast: is this the URL of the mount?");
}

# One request: its status, 0 for none, the seconds of Retry-After, the body;
# without an answer why there is none.
sub _ask {
    my ($self, $method, $url, $body, $timeout) = @_;
    require HTTP::Tiny;
    my %headers = ('content-type' => 'application/x-ndjson', accept => 'application/json');
    if ($self->{token} ne '') {
        $headers{authorization} = "Bearer $self->{token}";
        $headers{'x-phoenix-authtoken'} = $self->{token};    # some web servers keep the other from programs
    }
    my $http = HTTP::Tiny->new(timeout => $timeout, max_redirect => 0, max_size => ANSWER_MAX, verify_SSL => 1,
        agent => "Holdfast.pm/$VERSION ");
    # its timeout is one for each read: this is the one for all of them
    my ($until, $text) = (Time::HiRes::time() + $timeout, '');
    my $take = sub {
        $text .= $_[0];
        die "it takes too long\n" if Time::HiRes::time() > $until || length $text > ANSWER_MAX;
    };
    my $answer = $http->request($method, $url,
        {headers => \%headers, data_callback => $take, defined $body ? (content => $body) : ()});
    return 0, 0, $answer->{content} if $answer->{status} == 599;    # how HTTP::Tiny says it
    my ($wait) = (defined $answer->{headers}{'retry-after'} ? $answer->{headers}{'retry-after'} : 0) =~ /\A([0-9]{1,5})\z/;
    # of a refusal the text is there
    $text = $answer->{content} unless $answer->{success};
    return $answer->{status}, $wait || 0, $text;
}

# --- the journal directory ---------------------------------------------------

sub directory {
    my ($self) = @_;
    $self->{where} = _found() if $self->{where} eq '';
    _fail('setup', 'this needs the journal directory, and there is a URL only') if $self->_is_url;
    return $self->{where};
}

sub _found {
    my $said = $ENV{HOLDFAST_DIR};
    return _expanded($said) if defined $said && $said ne '';
    my $folder = File::Basename::dirname(Cwd::abs_path(__FILE__));
    return _written_in($folder) if -e "$folder/.htholdfast";
    return _home() . '/holdfast' if -f _home() . '/holdfast/journal.db';
    _fail('setup', "which journal directory? Say it, or put the line `dir = PATH` into $folder/.htholdfast");
}

sub _written_in {
    my ($folder) = @_;
    my $path = "$folder/.htholdfast";
    my @stat = stat $path or _fail('setup', "$path: $!");
    _fail('setup', "$path: others may write it")
        if $stat[2] & 02 || !grep { $stat[4] == $_ } 0, $>, (stat $folder)[4];
    my ($dir) = _contents($path) =~ /\A\s*dir[ \t]*=[ \t]*([^\s](?:[^\n]*[^\s])?)\s*\z/
        or _fail('setup', "$path: one line `dir = PATH` is needed");
    return $dir =~ m{\A(?:/|~/)} ? _expanded($dir) : "$folder/$dir";
}

sub _expanded {
    my ($path) = @_;
    return $path =~ s{\A~(?=/)}{} ? _home() . $path : $path;
}

# Of the account: web servers hand on the HOME of whoever started them.
sub _home {
    my $home = $ENV{HOME};
    my $owner = defined $home && $home ne '' ? (stat $home)[4] : undef;
    $home = (getpwuid $>)[7] unless defined $owner && $owner == $>;
    $home = '' unless defined $home;
    $home =~ s{/+\z}{};
    return $home;
}

# What is wrong with a directory is mostly whose it is.
sub _who_we_are {
    my $name = getpwuid $>;
    return defined $name ? " (this runs as $name)" : '';
}

sub _contents {
    my ($path) = @_;
    open my $file, '<:raw', $path or _fail('setup', "$path cannot be read: $!" . _who_we_are());
    read $file, my $text, 1 << 20;
    return defined $text ? $text : '';
}

sub _fail { die Holdfast::Error->new(@_) }

package Holdfast::Bytes;

sub bytes { return $_[0]{bytes} }
sub TO_JSON { return {_binary => MIME::Base64::encode_base64($_[0]{bytes}, '')} }

package Holdfast::Error;

use overload '""' => sub { $_[0]{message} }, fallback => 1;

sub new {
    my ($class, $reason, $message) = @_;
    $message =~ s/\s+\z//;
    return bless {reason => $reason, message => $message}, $class;
}

sub reason  { return $_[0]{reason} }
sub message { return $_[0]{message} }

1;

__END__

=head1 NAME

Holdfast - publish to browsers over WebSocket and long-poll

=head1 SYNOPSIS

    use Holdfast;
    my $holdfast = Holdfast->new('/home/me/journal');

    $holdfast->publish('room:lobby', 'new_msg', {body => 'hello'});
    my $token = $holdfast->token('alice', {'room:*' => ['join', 'publish']});
    my $page = $holdfast->page('room:lobby', 50);    # $page->{cursor}, $page->{messages}
    $holdfast->answer(sub { my ($call) = @_; return {status => 'ok'} });

=head1 DESCRIPTION

With the journal directory it works on the journal itself, by SQL; it needs
DBD::SQLite, and to run as the user who owns the directory. With a URL it
publishes over HTTP, from anywhere, with what the token allows:

    my $holdfast = Holdfast->new('https://example.com/socket', token => $token);

https needs IO::Socket::SSL. All else comes with Perl. docs/PUBLISHING.md shows
all of it at work.

Texts are characters, here as everywhere in Perl: decode what you read, or C<use
utf8>. Numbers and texts in a payload are what Perl takes them for: C<"$x"> is a
text, C<0 + $x> a number.

=head1 METHODS

=head2 new(WHERE, OPTION => VALUE, ...)

WHERE is the journal directory, or the URL of the mount. Without it the directory
is looked for as the gateway does: HOLDFAST_DIR, the file F<.htholdfast> beside
this file, then F<~/holdfast>. Options:

    token      who we are over HTTP
    timeout    seconds that a call may take; 5
    publisher  within which keys are unique when publishing by SQL; application
    keys       path of keys.json, where it is not in the journal directory
    secret     path of hook_secret, likewise

=head2 publish(TOPIC, EVENT, PAYLOAD, key => KEY, skip => ID)

A message to everybody who has joined TOPIC; returns its cursor when it is on
disk. The payload is anything that JSON can say, C<{}> without one, or
C<< Holdfast->bytes($bytes) >>. The same again, with the same key, changes nothing and
returns the first one's cursor, so repeat it after C<no answer> or when the script
was interrupted. skip, by SQL only: the id of a client that does not get it.

=head2 publish_many({topic => ..., event => ..., payload => ...}, ...)

Many at once, 1,000 at most, in this order, all of them or none. Each may have a
key and a skip. Returns the list of their cursors.

=head2 disconnect(USER)

Ends all connections of a user, now.

=head2 page(TOPIC, LAST, EVENT)

What a page shows, and where it goes on live: C<cursor>, and C<messages>, the newest
LAST of the topic (50, 1,000 at most), the oldest of them first, each with cursor,
topic, event, payload and at, milliseconds since 1970. With EVENT only messages of
that name.

=head2 cursor(TOPIC)

The cursor of now, for a page whose data is in a database of your own: read this
first and the data after it, then nothing is missed. TOPIC is for a URL only.

=head2 token(USER, {PATTERN => [RIGHTS]}, SECONDS)

A token for a visitor's page: who it is, what it may do besides what policies
allow everybody, and for how long (an hour).

=head2 answer(SUB)

Answers one hook (docs/HOOKS.md) as a CGI program: SUB gets what is asked and
returns the answer, both as hashes. Whoever does not know the secret gets 403; if
SUB dies, the client gets an error, and the server's log says what it was.

=head2 call(BODY, SIGNATURE), reply(ANSWER)

The parts of it, for programs that are no CGI: what is asked, if the signature is
right; and the body of the answer.

=head2 directory()

Where the journal is.

=head1 ERRORS

What goes wrong dies with a Holdfast::Error, which is its message as a text and has
a C<reason> for programs. Nothing was published, unless the reason says otherwise.
Reasons are the words of the protocol (docs/PROTOCOL.md P-15.1), for both ways:
C<busy>, C<rate_limited>, C<journal_full>: the same again later may work; C<refused by
the journal>, C<payload too large>, C<key_reused>, C<unauthorized>, ...: not as it is.
C<no answer>: nobody knows; repeat it with the same key. Ours: C<setup>, something on
this machine is not as it must be; C<signature>, of a hook.

=cut
