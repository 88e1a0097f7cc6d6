# call.pl LIBRARY - do calls of Holdfast.pm, as call.php does
use strict;
use warnings;
use JSON::PP;

require $ARGV[0];
my $asked = decode_json(do { local $/; <STDIN> });
my $holdfast = Holdfast->new($asked->{where}, %{$asked->{options}});
my @said;
for (@{$asked->{calls}}) {
    my ($name, $args) = @$_;
    my @args = map { ref $_ eq 'HASH' && exists $_->{_binary} ? Holdfast::_bytes_of($_) : $_ } @$args;
    push @args, %{pop @args} if $name eq 'publish' && @args == 4;
    @args = @{$args[0]} if $name eq 'publishMany';
    my $method = {publishMany => 'publish_many'}->{$name} || $name;
    my @result = eval { $holdfast->$method(@args) };
    push @said, $@ ? {refused => $@->reason, said => "$@"} : {ok => $name eq 'publishMany' ? \@result : $result[0]};
}
print JSON::PP->new->utf8->allow_nonref->convert_blessed->encode(\@said);
