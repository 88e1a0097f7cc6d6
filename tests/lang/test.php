<?php
// test.php - lang/php/holdfast.php on a journal, beside the command line
//
//     php test.php HOLDFAST.PHP JOURNAL-DIRECTORY
//
// Ran twice by php.sh: with each of the two extensions for SQLite.

declare(strict_types=1);

require __DIR__ . '/tap.php';
[, $library, $dir] = $argv;
require $library;

$holdfast = new Holdfast($dir);
putenv("HOLDFAST_DIR=$dir");
const STRANGE = "it's \"é\" \u{1f600}\u{2028}<b>\\";

// What tail prints of a topic.
function kept(string $topic): array
{
    $lines = array_filter(explode("\n", run('holdfast', 'tail', '--once', $topic)));
    return array_map(fn($line) => json_decode($line, true), array_values($lines));
}

function payloads(string $topic): array
{
    return array_column(kept($topic), 'payload');
}

function nested(int $levels)
{
    return $levels === 0 ? 1 : [nested($levels - 1)];
}

// --- publish -----------------------------------------------------------------

t('a message is kept, and its cursor returned', function () use ($holdfast) {
    $cursor = $holdfast->publish('room:a', 'new_msg', ['body' => STRANGE]);
    [$row] = kept('room:a');
    is($row['cursor'], $cursor);
    is($row['event'], 'new_msg');
    is($row['payload'], ['body' => STRANGE]);
});

t('a payload is any JSON; without one it is {}, and bytes are bytes', function () use ($holdfast, $dir) {
    foreach (['text', 1.5, 7, true, null, [1, 2], [], (object) []] as $payload) {
        $holdfast->publish('room:any', 'e', $payload);
    }
    $holdfast->publish('room:any', 'e');
    $holdfast->publish('room:any', 'e', new HoldfastBytes("\0\xff'"));
    $texts = run('sqlite3', "$dir/journal.db", "SELECT kind || iif(kind, hex(payload), payload) FROM messages
        WHERE topic = 'room:any' ORDER BY id");
    is(explode("\n", $texts), ['0"text"', '01.5', '07', '0true', '0null', '0[1,2]', '0[]', '0{}', '0{}', '100FF27']);
});

t('many are published in their order, or none', function () use ($holdfast) {
    $one = fn($n) => ['topic' => 'room:many', 'event' => 'n', 'payload' => $n];
    $cursors = $holdfast->publishMany(array_map($one, range(1, 500)));
    is(payloads('room:many'), range(1, 500));
    is(array_column(kept('room:many'), 'cursor'), $cursors);
    refused('refused by the journal', 'topic: a text is needed', fn() => $holdfast->publishMany(
        [$one(501), ['topic' => '', 'event' => 'n', 'payload' => 1], $one(502)]
    ));
    is(count(kept('room:many')), 500);
    is($holdfast->publishMany([]), []);
    refused('too many lines', '1000', fn() => $holdfast->publishMany(array_map($one, range(0, 1000))));
    is(count($holdfast->publishMany(array_map($one, range(1, 1000)))), 1000);
});

t('the same key again changes nothing and gives the first cursor', function () use ($holdfast, $dir) {
    $first = $holdfast->publish('orders', 'paid', ['order' => 1], ['key' => 'paid-1']);
    $holdfast->publish('orders', 'other', 2);
    is($holdfast->publish('orders', 'paid', ['order' => 1], ['key' => 'paid-1']), $first);
    is(count(kept('orders')), 2);
    refused('key_reused', 'used before', fn() => $holdfast->publish('orders', 'paid', 3, ['key' => 'paid-1']));
    // keys of another publisher are others
    $other = new Holdfast($dir, ['publisher' => 'billing']);
    $other->publish('orders', 'paid', 4, ['key' => 'paid-1']);
    is(count(kept('orders')), 3);
});

t('what is wrong is refused with a reason and the words of the journal', function () use ($holdfast) {
    $publish = fn(...$with) => fn() => $holdfast->publish(...$with);
    refused('refused by the journal', 'event: phx_*', $publish('room:w', 'phx_reply', 1));
    refused('refused by the journal', 'longer than 200 bytes', $publish(str_repeat('x', 201), 'e', 1));
    refused('payload too large', 'max_payload', $publish('room:w', 'e', str_repeat('x', 70000)));
    refused('malformed', 'UTF-8', $publish("room:\xff", 'e', 1));
    refused('malformed', 'UTF-8', $publish('room:w', "\xff", 1));
    refused('malformed', 'Malformed UTF-8', $publish('room:w', 'e', ["\xff"]));
    refused('malformed', 'Inf and NaN', $publish('room:w', 'e', NAN));
    refused('malformed', 'no kez', $publish('room:w', 'e', 1, ['kez' => 'a']));
    refused('malformed', 'needs its payload', fn() => $holdfast->publishMany([['topic' => 'room:w', 'event' => 'e']]));
    is(kept('room:w'), []);
});

t('128 levels are delivered, 129 refused', function () use ($holdfast) {
    $holdfast->publish('room:deep', 'e', nested(128));
    refused('malformed', 'depth', fn() => $holdfast->publish('room:deep', 'e', nested(129)));
    is(payloads('room:deep')[0] === nested(128), true);
});

t('skip is kept', function () use ($holdfast, $dir) {
    $holdfast->publish('room:skip', 'e', 1, ['skip' => 'client-1']);
    is(run('sqlite3', "$dir/journal.db", "SELECT skip FROM messages WHERE topic = 'room:skip'"), 'client-1');
});

t('disconnect says what holdfast disconnect says', function () use ($holdfast, $dir) {
    $holdfast->disconnect('alice');
    run('holdfast', 'disconnect', 'alice');
    $rows = explode("\n", run('sqlite3', "$dir/journal.db", "SELECT event || payload FROM messages
        WHERE topic = 'user_socket:alice'"));
    is($rows, ['disconnect{}', 'disconnect{}']);
});

// --- when the journal is busy, away or another one -----------------------------

t('it waits for its turn as long as it was told to', function () use ($dir) {
    $writer = proc_open(['sqlite3', "$dir/journal.db"], [['pipe', 'r'], ['pipe', 'w']], $pipes);
    fwrite($pipes[0], "BEGIN IMMEDIATE;\nSELECT 'begun';\n");
    is(fgets($pipes[1]), "begun\n");
    $holdfast = new Holdfast($dir, ['timeout' => 1]);
    $began = microtime(true);
    refused('busy', 'locked', fn() => $holdfast->publish('room:busy', 'e', 1));
    is(microtime(true) - $began > 0.7, true);
    fwrite($pipes[0], "COMMIT;\n.quit\n");
    fclose($pipes[0]);
    proc_close($writer);
    $holdfast->publish('room:busy', 'e', 2); // nothing of the first is in the way
    is(payloads('room:busy'), [2]);
});

t('it publishes nothing while the disk has lost a write', function () use ($holdfast, $dir) {
    touch("$dir/failed");
    try {
        refused('journal_failed', 'rescue', fn() => $holdfast->publish('room:failed', 'e', 1));
    } finally {
        unlink("$dir/failed");
    }
    $holdfast->publish('room:failed', 'e', 2);
    is(payloads('room:failed'), [2]);
});

t('a journal that was put in the place of the open one is used from then on', function () use ($dir) {
    run('holdfast', 'init', "$dir-b");
    $holdfast = new Holdfast("$dir-b");
    $before = $holdfast->publish('room:a', 'e', 1);
    run('rm', '-r', "$dir-b");
    refused('setup', 'no journal', fn() => $holdfast->publish('room:a', 'e', 2));
    is(file_exists("$dir-b"), false); // nothing made in passing
    run('holdfast', 'init', "$dir-b");
    $after = $holdfast->publish('room:a', 'e', 3);
    is(explode('.', $before)[0] !== explode('.', $after)[0], true);
});

t('a fork has a connection of its own', function () use ($holdfast) {
    if (!function_exists('pcntl_fork') || !function_exists('posix_kill')) {
        return;
    }
    $child = pcntl_fork();
    if ($child === 0) {
        $holdfast->publish('room:fork', 'e', 'child');
        posix_kill(getmypid(), SIGKILL); // nothing of this script's end
    }
    pcntl_waitpid($child, $status);
    $holdfast->publish('room:fork', 'e', 'parent');
    is(payloads('room:fork'), ['child', 'parent']);
});

// --- pages ---------------------------------------------------------------------

t('a page has the newest messages, the oldest first, and the cursor behind them', function () use ($holdfast) {
    is($holdfast->page('room:page')['messages'], []);
    foreach (range(1, 5) as $n) {
        $cursors[] = $holdfast->publish('room:page', $n % 2 ? 'odd' : 'even', ['n' => $n]);
    }
    $holdfast->publish('room:page', 'odd', new HoldfastBytes("\0"));
    ['cursor' => $since, 'messages' => $messages] = $holdfast->page('room:page', 4);
    is(array_column($messages, 'cursor'), array_merge(array_slice($cursors, 2), [$since]));
    is($messages[0]['payload'], ['n' => 3]);
    is($messages[3]['payload']->bytes, "\0");
    is(abs($messages[0]['at'] - microtime(true) * 1000) < 600000, true);
    is(array_column($holdfast->page('room:page', 9, 'even')['messages'], 'payload'), [['n' => 2], ['n' => 4]]);
    is($holdfast->cursor(), $since);
    $holdfast->publish('room:page', 'odd', 6);
    $went_on = run('holdfast', 'tail', '--once', '--since', $since, 'room:page');
    is(json_decode($went_on, true)['payload'], 6);
    refused('invalid last', '', fn() => $holdfast->page('room:page', 1001));
});

t('a page passes over what no reader delivers', function () use ($holdfast, $dir) {
    $holdfast->publish('room:torn', 'e', 1);
    run('sqlite3', "$dir/journal.db", "INSERT INTO messages (topic, event, payload)
        VALUES ('room:torn', 'e', '\"\\ud800\"')");
    is(array_column($holdfast->page('room:torn')['messages'], 'payload'), [1]);
});

// --- tokens ----------------------------------------------------------------------

t('a token says who and what, and Holdfast takes it', function () use ($holdfast) {
    $token = $holdfast->token("al'ice é", ['room:*' => ['join', 'publish'], '0' => ['presence']], 60);
    $said = run('holdfast', 'token', '--inspect', $token);
    foreach (["al'ice é", 'room:*', '"join","publish"', 'presence'] as $part) {
        contains($said, $part);
    }
    run('holdfast', 'token', '--inspect', $holdfast->token('', [], 60));
    run('holdfast', 'token', '--inspect', $holdfast->token('bob'));
});

t('a token is signed with the newest secret', function () use ($holdfast) {
    run('holdfast', 'token', '--add-key', 'EdDSA', '--kid', 'e1'); // passed over: not one of ours
    run('holdfast', 'token', '--inspect', $holdfast->token('bob'));
    run('holdfast', 'token', '--add-key', 'HS256', '--kid', 'new');
    $token = $holdfast->token('bob');
    run('holdfast', 'token', '--inspect', $token);
    is(json_decode(base64_decode(explode('.', $token)[0]), true)['kid'], 'new');
});

t('a slip in what a token allows is refused', function () use ($holdfast) {
    refused('setup', 'rights of room:*', fn() => $holdfast->token('bob', ['room:*' => ['jion']]));
    refused('setup', 'rights of room:*', fn() => $holdfast->token('bob', ['room:*' => []]));
    refused('setup', 'control characters', fn() => $holdfast->token("a\nb"));
    refused('setup', '128 bytes', fn() => $holdfast->token(str_repeat('x', 129)));
    refused('setup', 'seconds', fn() => $holdfast->token('bob', [], 0));
});

t('keys can lie elsewhere, and then no journal is needed', function () use ($dir) {
    copy("$dir/keys.json", 'copied.json');
    $away = new Holdfast('https://example.com/socket', ['keys' => 'copied.json']);
    run('holdfast', 'token', '--inspect', $away->token('bob'));
    file_put_contents('copied.json', '{"keys":[]}');
    refused('setup', '--add-key HS256', fn() => $away->token('bob'));
    unlink('copied.json');
    refused('setup', 'copied.json cannot be read', fn() => $away->token('bob'));
});

// --- hooks -------------------------------------------------------------------------

function signed(string $body, string $secret, int $at = 0): string
{
    $at = $at ?: time();
    return "t=$at,v1=" . hash_hmac('sha256', "$at.$body", $secret);
}

t('a call is taken from who knows the secret, and now', function () use ($dir) {
    $secret = trim(file_get_contents("$dir/hook_secret"));
    $body = '{"hook":"push","payload":{"_binary":"AP8="}}';
    $call = Holdfast::call($body, signed($body, $secret), $secret);
    is($call['hook'], 'push');
    is($call['payload']->bytes, "\0\xff");
    foreach ([
        'another body' => ["$body ", signed($body, $secret), $secret],
        'another secret' => [$body, signed($body, 'x'), $secret],
        'no secret at all' => [$body, signed($body, ''), ''],
        'old' => [$body, signed($body, $secret, time() - 400), $secret],
        'from the future' => [$body, signed($body, $secret, time() + 400), $secret],
        'none' => [$body, '', $secret],
        'more behind it' => [$body, signed($body, $secret) . "\n", $secret],
        'no JSON' => ['x', signed('x', $secret), $secret],
        'no hook' => ['{}', signed('{}', $secret), $secret],
    ] as [$text, $signature, $with]) {
        refused('signature', '', fn() => Holdfast::call($text, $signature, $with));
    }
});

t('an answer has objects where objects are needed', function () {
    is(Holdfast::reply([]), '{}');
    is(Holdfast::reply(['status' => 'ok', 'response' => [], 'actions' => [
        ['do' => 'track', 'key' => 'k', 'meta' => []], ['do' => 'push', 'event' => 'e', 'payload' => []],
        ['do' => 'push', 'event' => 'b', 'payload' => new HoldfastBytes("\0\xff")],
    ]]), '{"status":"ok","response":{},"actions":[{"do":"track","key":"k","meta":{}},'
        . '{"do":"push","event":"e","payload":[]},{"do":"push","event":"b","payload":{"_binary":"AP8="}}]}');
});

// --- where the journal is ---------------------------------------------------------------

// What a PHP of its own finds, started in the folder of the library with this
// environment; or why not.
function found(string ...$env): string
{
    $with = explode(' ', getenv('PHP_WITH') ?: '-d display_errors=1');
    $find = 'require "./holdfast.php"; try { echo (new Holdfast())->directory(); }
        catch (HoldfastError $e) { echo $e->getMessage(); }';
    return run('env', '-u', 'HOLDFAST_DIR', ...[...$env, PHP_BINARY, ...$with, '-r', $find]);
}

function contains(string $text, string $part): void
{
    is(strpos($text, $part) === false ? $text : $part, $part);
}

t('the directory is found as the gateway finds it', function () use ($library) {
    mkdir('found');
    mkdir('home/holdfast', 0777, true);
    copy($library, 'found/holdfast.php');
    $home = 'HOME=' . getcwd() . '/home';
    chdir('found');
    try {
        contains(found($home), 'which journal directory?');
        touch('../home/holdfast/journal.db');
        is(found($home), dirname(getcwd()) . '/home/holdfast');
        is(found('HOLDFAST_DIR=/said'), '/said');
        is(found('HOLDFAST_DIR=~/said', $home), dirname(getcwd()) . '/home/said');
        foreach (['/written' => '/written', 'below' => getcwd() . '/below',
            '~/there' => dirname(getcwd()) . '/home/there'] as $path => $dir) {
            file_put_contents('.htholdfast', "dir = $path\n");
            is(found($home), $dir);
        }
        is(found('HOLDFAST_DIR=/said'), '/said');
        foreach (["dir =\n", "x = y\n", "dir = a\ndir = b\n", ''] as $wrong) {
            file_put_contents('.htholdfast', $wrong);
            contains(found(), 'one line');
        }
        file_put_contents('.htholdfast', "dir = /written\n");
        chmod('.htholdfast', 0666);
        contains(found(), 'others may write it');
    } finally {
        chdir('..');
    }
});

t('what is missing on this machine is said', function () {
    refused('setup', 'option tokn', fn() => new Holdfast('', ['tokn' => 'x']));
    refused('setup', 'no journal', fn() => (new Holdfast('/nowhere'))->publish('room:a', 'e', 1));
    refused('setup', 'URL only', fn() => (new Holdfast('https://example.com/socket'))->token('a'));
});

finish();
