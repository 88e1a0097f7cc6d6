# app.pl - an application behind hooks, as app.php is; a CGI program
use strict;
use warnings;

require $ENV{LIBRARY};

Holdfast->new->answer(sub {
    my ($call) = @_;
    if ($call->{hook} eq 'join') {
        return {status => 'error', response => {reason => 'staff only'}} if $call->{topic} eq 'room:staff';
        return {status => 'ok', response => {}, actions => [
            {do => 'track', key => 'k', meta => {}},
            {do => 'push', event => 'welcome', payload => {to => $call->{topic}}}]};
    }
    if ($call->{hook} eq 'push') {
        die "a mistake\n" if $call->{event} eq 'fail';
        my $payload = $call->{payload};
        return {status => 'ok', response => Holdfast->bytes(scalar reverse $payload->bytes)}
            if ref $payload eq 'Holdfast::Bytes';
        return {status => 'ok', actions => [{do => 'broadcast', event => 'said', payload => $payload}]};
    }
    return {};
});
