<?php
/*
 * holdfast.php - Holdfast for PHP, in one file; PHP 7.4 or later
 * MIT License, Copyright (c) 2026 The Holdfast authors
 *
 *     require_once 'holdfast.php';
 *     $holdfast = new Holdfast('/home/me/journal');
 *
 *     $holdfast->publish('room:lobby', 'new_msg', ['body' => 'hello']);
 *     $token = $holdfast->token('alice', ['room:*' => ['join', 'publish']]);
 *     ['cursor' => $since, 'messages' => $messages] = $holdfast->page('room:lobby', 50);
 *     $holdfast->answer(function (array $call): array { return ['status' => 'ok']; });
 *
 * With the journal directory it works on the journal itself, by SQL; it needs
 * the extension sqlite3 or pdo_sqlite, and to run as the user who owns the
 * directory. With a URL, `new Holdfast('https://example.com/socket', ['token' =>
 * $token])`, it publishes over HTTP, from anywhere, with what the token allows.
 *
 * What goes wrong is a HoldfastError: `getMessage()` is for people, `reason` for
 * programs. docs/PUBLISHING.md shows all of it at work.
 */

declare(strict_types=1);

/* Something was not done. Nothing was published, unless `reason` says otherwise. */
final class HoldfastError extends RuntimeException
{
    /*
     * The words of the protocol (docs/PROTOCOL.md P-15.1) for both ways: 'busy',
     * 'rate_limited', 'journal_full': the same again later may work; 'refused by
     * the journal', 'payload too large', 'key_reused', 'unauthorized', ...: not
     * as it is. 'no answer': nobody knows; repeat it with the same key. Ours:
     * 'setup', something on this machine is not as it must be; 'signature', of
     * a hook.
     */
    public string $reason;

    public function __construct(string $reason, string $message, ?Throwable $why = null)
    {
        parent::__construct($message, 0, $why);
        $this->reason = $reason;
    }
}

/* A payload, or response of a hook, that is bytes: a browser gets an ArrayBuffer. */
final class HoldfastBytes implements JsonSerializable
{
    public string $bytes;

    public function __construct(string $bytes)
    {
        $this->bytes = $bytes;
    }

    public function jsonSerialize(): array
    {
        return ['_binary' => base64_encode($this->bytes)];
    }
}

final class Holdfast
{
    private const MANY = 1000;              // messages of one publishMany
    private const DEPTH = 128;              // arrays and objects inside each other
    private const ANSWER_MAX = 8388608;     // bytes of an answer over HTTP
    private const HOOK_MAX = 4194304;       // bytes of a hook's request
    private const HOOK_AGE = 300;           // seconds that its clock may differ
    private const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;

    private string $where;                  // directory or URL; '': look for the directory
    private array $options;
    private ?HoldfastSql $sql = null;

    /*
     * `$where` is the journal directory, or the URL of the mount. Without it the
     * directory is looked for as the gateway does: HOLDFAST_DIR, the file
     * .htholdfast beside this file or beside the script, then ~/holdfast.
     *
     * Options: `token`, who we are over HTTP; `timeout`, seconds that a call may
     * take, 5; `publisher`, within which keys are unique when publishing by SQL,
     * 'application'; `keys` and `secret`, paths of keys.json and hook_secret where
     * they are not in the journal directory.
     */
    public function __construct(string $where = '', array $options = [])
    {
        $known = ['token' => '', 'timeout' => 5, 'publisher' => 'application', 'keys' => '', 'secret' => ''];
        $unknown = array_diff_key($options, $known);
        if ($unknown !== []) {
            throw new HoldfastError('setup', 'there is no option ' . key($unknown));
        }
        $this->where = rtrim($where, '/') ?: $where;
        $this->options = $options + $known;
    }

    // --- publish -----------------------------------------------------------

    /*
     * A message to everybody who has joined $topic. The payload is anything
     * json_encode takes, or HoldfastBytes. When it returns the message is on
     * disk; it returns the message's cursor.
     *
     * More: `key`, a text: the same again, with the same key, changes nothing and
     * returns the first one's cursor, so repeat it after 'no answer' or when the
     * script was interrupted; `skip`, by SQL only: the id of a client that does not get it.
     */
    public function publish(string $topic, string $event, $payload = null, array $more = []): string
    {
        $payload = func_num_args() < 3 ? (object) [] : $payload;
        $message = ['topic' => $topic, 'event' => $event, 'payload' => $payload];
        return $this->publishMany([$message + $more])[0];
    }

    /*
     * Many at once, in this order, all of them or none; each is an array of
     * topic, event, payload and, if wanted, key and skip. Returns their cursors.
     */
    public function publishMany(array $messages): array
    {
        if (count($messages) > self::MANY) {
            throw new HoldfastError('too many lines', self::MANY . ' messages at once, not more');
        }
        $messages = array_map([self::class, 'checked'], array_values($messages));
        if ($messages === []) {
            return [];
        }
        return $this->isUrl() ? $this->post($messages) : $this->insert($messages);
    }

    /* End all connections of a user, now. He may come back with a valid token. */
    public function disconnect(string $user): string
    {
        return $this->publish("user_socket:$user", 'disconnect');
    }

    // --- pages -------------------------------------------------------------

    /*
     * What a page shows, and where it goes on live: the newest $last messages of
     * a topic (1,000 at most), the oldest of them first, each with cursor, topic,
     * event, payload and `at`, milliseconds since 1970; and the cursor that the
     * page's program joins with, `since`. With $event only messages of that name.
     */
    public function page(string $topic, int $last = 50, string $event = ''): array
    {
        if ($last < 0 || $last > 1000) {
            throw new HoldfastError('invalid last', 'last: 0 to 1000');
        }
        return $this->isUrl() ? $this->pageByHttp($topic, $last, $event) : $this->pageBySql($topic, $last, $event);
    }

    /*
     * The cursor of now, for a page whose data is in a database of your own: read
     * this first and the data after it, then nothing is missed. By URL say a
     * topic that may be followed.
     */
    public function cursor(string $topic = ''): string
    {
        return $this->isUrl() ? $this->page($topic, 0)['cursor'] : $this->sql()->head();
    }

    private function pageBySql(string $topic, int $last, string $event): array
    {
        return $this->sql()->within('BEGIN', function (HoldfastSql $sql) use ($topic, $last, $event) {
            $cursor = $sql->head();
            $rows = $sql->rows(
                'SELECT id, topic, event, payload, kind, at FROM messages
                 WHERE topic = ?' . ($event === '' ? '' : ' AND event = ?') . ' ORDER BY id DESC LIMIT ?',
                $event === '' ? [$topic, $last] : [$topic, $event, $last]
            );
            $messages = [];
            foreach (array_reverse($rows) as $row) {
                $payload = $row['kind'] ? new HoldfastBytes((string) $row['payload'])
                    : json_decode((string) $row['payload'], true, self::DEPTH);
                if (!$row['kind'] && json_last_error() !== JSON_ERROR_NONE) {
                    continue; // no reader delivers such a row
                }
                $messages[] = ['cursor' => preg_replace('/\d+$/', (string) $row['id'], $cursor),
                    'topic' => $row['topic'], 'event' => $row['event'], 'payload' => $payload, 'at' => $row['at']];
            }
            return ['cursor' => $cursor, 'messages' => $messages];
        });
    }

    private function pageByHttp(string $topic, int $last, string $event): array
    {
        $query = ['topic' => $topic, 'hold' => 0] + ($last > 0 ? ['last' => $last] : []);
        $messages = [];
        do { // an answer has 500 messages at most, and a page 1,000
            $answer = $this->http('GET', '/events?' . http_build_query($query));
            if (!is_array($answer['messages'] ?? null)) {
                throw new HoldfastError('no answer', 'an answer without messages');
            }
            foreach ($answer['messages'] as $message) {
                if ($event === '' || $message['event'] === $event) {
                    $messages[] = ['payload' => self::bytesOf($message['payload'])] + $message;
                }
            }
            $query = ['topic' => $topic, 'hold' => 0, 'since' => $answer['cursor']];
        } while ($last > 0 && ($answer['more'] ?? false) && count($messages) < $last);
        return ['cursor' => $answer['cursor'], 'messages' => $last > 0 ? array_slice($messages, -$last) : []];
    }

    // --- tokens ------------------------------------------------------------

    /*
     * A token for a visitor's page: who it is, what it may do besides what
     * policies allow everybody, and for how long. $topics: a pattern, which is a
     * topic or a prefix and one *, with a list of join, publish and presence.
     * '' as user is somebody without a name.
     */
    public function token(string $user, array $topics = [], int $seconds = 3600): string
    {
        foreach ($topics as $pattern => $rights) {
            if ($rights === [] || array_diff((array) $rights, ['join', 'publish', 'presence']) !== []) {
                throw new HoldfastError('setup', "rights of $pattern: a list of join, publish, presence");
            }
            $topics[$pattern] = array_values((array) $rights);
        }
        if (strlen($user) > 128 || preg_match('/[\x00-\x1f\x7f]/', $user) || $seconds < 1) {
            throw new HoldfastError('setup', 'a token has a user of at most 128 bytes without control characters, '
                . 'and seconds to live');
        }
        $now = time();
        $claims = ['iat' => $now, 'exp' => $now + $seconds, 'topics' => (object) $topics];
        return self::sign($claims + ($user === '' ? [] : ['sub' => $user]), $this->key());
    }

    private static function sign(array $claims, array $key): string
    {
        $head = ['alg' => 'HS256', 'typ' => 'JWT'] + (isset($key['kid']) ? ['kid' => $key['kid']] : []);
        $token = self::base64url(self::json($head)) . '.' . self::base64url(self::json($claims));
        $secret = base64_decode(strtr($key['k'], '-_', '+/'));
        return $token . '.' . self::base64url(hash_hmac('sha256', $token, $secret, true));
    }

    /* The first secret of keys.json, which is the one that signs. */
    private function key(): array
    {
        $path = $this->options['keys'] ?: $this->directory() . '/keys.json';
        $set = json_decode(self::contents($path), true);
        foreach (is_array($set['keys'] ?? null) ? $set['keys'] : [] as $key) {
            if (($key['kty'] ?? '') === 'oct' && is_string($key['k'] ?? null)) {
                return $key;
            }
        }
        throw new HoldfastError('setup', "$path: no key for HS256; `holdfast token --add-key HS256` makes one");
    }

    // --- hooks -------------------------------------------------------------

    /*
     * Answer one request of Holdfast's (docs/HOOKS.md), all of it: $decide gets
     * what is asked and returns the answer, both as arrays. Whoever does not
     * know the secret gets 403; if $decide throws, the client gets an error, and
     * the server's log says what it was. What $decide prints is thrown away.
     */
    public function answer(callable $decide): void
    {
        try {
            $secret = trim(self::contents($this->options['secret'] ?: $this->directory() . '/hook_secret'));
            $body = (string) file_get_contents('php://input', false, null, 0, self::HOOK_MAX + 1);
            $call = self::call($body, $_SERVER['HTTP_HOLDFAST_SIGNATURE'] ?? '', $secret);
            ob_start();
            try {
                $answer = self::reply($decide($call) ?? []);
            } finally {
                ob_end_clean();
            }
            header('Content-Type: application/json');
            header('Cache-Control: no-store');
            echo $answer;
        } catch (HoldfastError $e) {
            http_response_code($e->reason === 'signature' ? 403 : 500);
            error_log('holdfast: ' . $e->getMessage());
        } catch (Throwable $e) {
            http_response_code(500);
            error_log('holdfast: ' . $e);
        }
    }

    /* The parts of answer(), for a framework that has its own request: the call,
     * if the signature of this body is right, else a HoldfastError. */
    public static function call(string $body, string $signature, string $secret): array
    {
        $right = preg_match('/^t=(\d{1,15}),v1=([0-9a-f]{64})$/D', $signature, $m)
            && abs(time() - (int) $m[1]) <= self::HOOK_AGE
            && $secret !== '' && strlen($body) <= self::HOOK_MAX
            && hash_equals(hash_hmac('sha256', "$m[1].$body", $secret), $m[2]);
        $call = $right ? json_decode($body, true) : null;
        if (!is_array($call) || !is_string($call['hook'] ?? null)) {
            throw new HoldfastError('signature', 'a request that Holdfast has not signed with this secret');
        }
        if (isset($call['payload'])) {
            $call['payload'] = self::bytesOf($call['payload']);
        }
        return $call;
    }

    /* ... and the body of the answer. An empty array is an object here, where
     * nothing but an object makes sense: response, meta and the answer itself. */
    public static function reply(array $answer): string
    {
        if (($answer['response'] ?? null) === []) {
            $answer['response'] = (object) [];
        }
        foreach ($answer['actions'] ?? [] as $i => $action) {
            if (($action['meta'] ?? null) === []) {
                $answer['actions'][$i]['meta'] = (object) [];
            }
        }
        return self::json((object) $answer, 3);
    }

    // --- what is published, either way ----------------------------------------

    private static function checked(array $message): array
    {
        $known = ['topic', 'event', 'payload', 'key', 'skip'];
        foreach ($message as $name => $value) {
            if (!in_array($name, $known, true)) {
                throw new HoldfastError('malformed', "a message has no $name");
            }
            if ($name !== 'payload' && (!is_string($value) || !preg_match('//u', $value))) {
                throw new HoldfastError('malformed', "$name: a text in UTF-8 is needed");
            }
        }
        foreach (['topic', 'event', 'payload'] as $name) {
            if (!array_key_exists($name, $message)) {
                throw new HoldfastError('malformed', "a message needs its $name");
            }
        }
        return $message + ['key' => null, 'skip' => null];
    }

    private function insert(array $messages): array
    {
        $failed = $this->directory() . '/failed';
        clearstatcache(true, $failed);
        if (file_exists($failed)) {
            throw new HoldfastError('journal_failed', 'the disk has lost a write; run `holdfast check --rescue`');
        }
        $rows = [];
        foreach ($messages as $m) { // encoded before anybody else has to wait for us
            $bytes = $m['payload'] instanceof HoldfastBytes;
            $rows[] = [$m['topic'], $m['event'], $bytes ? $m['payload'] : self::json($m['payload']),
                $bytes ? 1 : 0, $m['key'] === null ? null : $this->options['publisher'], $m['key'], $m['skip']];
        }
        return $this->sql()->within('BEGIN IMMEDIATE', function (HoldfastSql $sql) use ($rows) {
            $cursors = [];
            $epoch = preg_replace('/\d+$/', '', $sql->head());
            foreach ($rows as $row) {
                $sql->rows('INSERT INTO messages (topic, event, payload, kind, publisher, key, skip)
                            VALUES (?, ?, ?, ?, ?, ?, ?)', $row);
                // a repeat inserts nothing: ask for the first one
                $cursors[] = $epoch . ($row[5] === null ? $sql->lastId()
                    : $sql->rows('SELECT id FROM messages WHERE publisher = ? AND key = ?', [$row[4], $row[5]])[0]['id']);
            }
            return $cursors;
        });
    }

    /* Each line has a key, so that it may be sent again whatever has happened. */
    private function post(array $messages): array
    {
        $lines = '';
        foreach ($messages as $m) {
            if ($m['skip'] !== null) {
                throw new HoldfastError('malformed', 'skip: by SQL only');
            }
            $key = $m['key'] ?? self::base64url(random_bytes(16));
            $lines .= self::json(['key' => $key] + array_diff_key($m, ['skip' => 0]), 1) . "\n";
        }
        $answer = $this->http('POST', '/publish', $lines);
        $cursors = $answer['cursors'] ?? null;
        if (!is_array($cursors) || count($cursors) !== count($messages)) {
            throw new HoldfastError('no answer', 'an answer without cursors: is this the URL of the mount?');
        }
        return $cursors;
    }

    /* $around: arrays and objects of ours that are around what is yours. */
    private static function json($value, int $around = 0): string
    {
        try {
            return json_encode($value, self::JSON, self::DEPTH + $around);
        } catch (JsonException $e) {
            throw new HoldfastError('malformed', 'JSON: ' . $e->getMessage(), $e);
        }
    }

    /* {"_binary": "..."} is how JSON says bytes. */
    private static function bytesOf($payload)
    {
        $bytes = is_array($payload) && array_keys($payload) === ['_binary'] && is_string($payload['_binary'])
            ? base64_decode($payload['_binary'], true) : false;
        return $bytes === false ? $payload : new HoldfastBytes($bytes);
    }

    private static function base64url(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    // --- over HTTP ------------------------------------------------------------

    private function isUrl(): bool
    {
        return (bool) preg_match('~^https?://~i', $this->where);
    }

    /* Asks until there is an answer or the time is over. Only what is safe to
     * send again comes here. */
    private function http(string $method, string $path, string $body = ''): array
    {
        $until = microtime(true) + $this->options['timeout'];
        for ($pause = 0.1;; $pause *= 2) {
            $left = $until - microtime(true);
            [$status, $wait, $text] = $this->ask($method, $this->where . $path, $body, max(0.1, $left));
            $answer = json_decode($text, true, self::DEPTH + 16);
            if ($status === 200 && is_array($answer)) {
                return $answer;
            }
            $wait = max($wait, $pause * random_int(50, 100) / 100);
            $again = in_array($status, [0, 200, 408, 429], true) || $status >= 500;
            if (!$again || microtime(true) + $wait >= $until) {
                throw self::refusal($status, $answer, $text);
            }
            usleep((int) ($wait * 1000000));
        }
    }

    private static function refusal(int $status, $answer, string $text): HoldfastError
    {
        $error = is_array($answer) ? $answer['error'] ?? [] : [];
        if (is_string($error['reason'] ?? null)) {
            $line = isset($error['line']) ? "message $error[line]: " : '';
            return new HoldfastError($error['reason'], $line . ($error['message'] ?? $error['reason']));
        }
        return new HoldfastError('no answer', $status === 0 ? "no answer over HTTP: $text"
            : "status $status of HTTP, and no answer of Holdfast: is this the URL of the mount?");
    }

    /* One request: its status, 0 for none, the seconds of Retry-After, the body;
     * without an answer why there is none. */
    private function ask(string $method, string $url, string $body, float $timeout): array
    {
        $headers = ['Content-Type: application/x-ndjson', 'Accept: application/json', 'Connection: close'];
        if ($this->options['token'] !== '') {
            $headers[] = 'Authorization: Bearer ' . $this->options['token'];
            // some web servers keep that one from programs
            $headers[] = 'X-Phoenix-AuthToken: ' . $this->options['token'];
        }
        [$lines, $text] = ini_get('allow_url_fopen') ? self::askByStream($method, $url, $headers, $body, $timeout)
            : self::askByCurl($method, $url, $headers, $body, $timeout);
        $status = 0;
        $wait = 0;
        foreach ($lines as $line) {
            if (preg_match('~^HTTP/\S+ (\d{3})~', $line, $m)) {
                $status = (int) $m[1];
            } elseif (preg_match('~^Retry-After:\s*(\d{1,5})\s*$~i', $line, $m)) {
                $wait = (int) $m[1];
            }
        }
        return [$status, $wait, $text];
    }

    private static function askByStream(string $method, string $url, array $headers, string $body, float $timeout): array
    {
        $until = microtime(true) + $timeout;
        // 1.0: out of an answer in chunks fread would wait for all that it was asked for
        $context = stream_context_create(['http' => ['method' => $method, 'header' => $headers, 'content' => $body,
            'timeout' => $timeout, 'ignore_errors' => true, 'follow_location' => 0, 'protocol_version' => 1.0]]);
        $stream = @fopen($url, 'r', false, $context);
        if ($stream === false) {
            return [[], preg_replace('/^.*: /s', '', error_get_last()['message'] ?? '')];
        }
        $lines = stream_get_meta_data($stream)['wrapper_data'];
        // its timeout is one for each read: this is the one for all of them
        for ($text = ''; !feof($stream) && strlen($text) < self::ANSWER_MAX && microtime(true) < $until;) {
            $text .= (string) fread($stream, 65536);
        }
        fclose($stream);
        return [$lines, $text];
    }

    /* Where the host has forbidden PHP to open URLs. */
    private static function askByCurl(string $method, string $url, array $headers, string $body, float $timeout): array
    {
        if (!function_exists('curl_init')) {
            throw new HoldfastError('setup', 'this PHP may open no URLs: it needs allow_url_fopen or the extension curl');
        }
        $lines = [];
        $text = '';
        $curl = curl_init($url);
        curl_setopt_array($curl, [CURLOPT_CUSTOMREQUEST => $method, CURLOPT_HTTPHEADER => $headers,
            CURLOPT_TIMEOUT_MS => (int) ($timeout * 1000), CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$lines): int {
                $lines[] = rtrim($line);
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => function ($curl, string $part) use (&$text): int {
                $text .= $part;
                return strlen($text) > self::ANSWER_MAX ? 0 : strlen($part);
            }] + ($body === '' ? [] : [CURLOPT_POSTFIELDS => $body]));
        return curl_exec($curl) === false ? [[], curl_error($curl)] : [$lines, $text];
    }

    // --- the journal directory ------------------------------------------------

    /* Where it is. */
    public function directory(): string
    {
        if ($this->where === '') {
            $this->where = self::found();
        }
        if ($this->isUrl()) {
            throw new HoldfastError('setup', 'this needs the journal directory, and there is a URL only');
        }
        return $this->where;
    }

    private function sql(): HoldfastSql
    {
        $path = $this->directory() . '/journal.db';
        if ($this->sql === null || !$this->sql->isOf($path)) {
            $this->sql = new HoldfastSql($path, (float) $this->options['timeout']);
        }
        return $this->sql;
    }

    private static function found(): string
    {
        $said = $_SERVER['HOLDFAST_DIR'] ?? getenv('HOLDFAST_DIR');
        if (is_string($said) && $said !== '') {
            return self::expanded($said);
        }
        foreach (array_unique([__DIR__, dirname($_SERVER['SCRIPT_FILENAME'] ?? __FILE__)]) as $folder) {
            if (is_file("$folder/.htholdfast")) {
                return self::saidBy($folder);
            }
        }
        if (is_file(self::home() . '/holdfast/journal.db')) {
            return self::home() . '/holdfast';
        }
        throw new HoldfastError('setup', 'which journal directory? Say it, or put the line `dir = PATH` into '
            . __DIR__ . '/.htholdfast');
    }

    private static function saidBy(string $folder): string
    {
        $path = "$folder/.htholdfast";
        $owners = [0, fileowner($folder), function_exists('posix_geteuid') ? posix_geteuid() : -1];
        if (fileperms($path) & 02 || !in_array(fileowner($path), $owners, true)) {
            throw new HoldfastError('setup', "$path: others may write it");
        }
        if (!preg_match('/^\s*dir\s*=\s*(\S.*?)\s*$/D', self::contents($path), $m) || strpos($m[1], "\n") !== false) {
            throw new HoldfastError('setup', "$path: one line `dir = PATH` is needed");
        }
        return preg_match('~^(/|\~/)~', $m[1]) ? self::expanded($m[1]) : "$folder/$m[1]";
    }

    private static function expanded(string $path): string
    {
        return strncmp($path, '~/', 2) === 0 ? self::home() . substr($path, 1) : $path;
    }

    /* Of the account: web servers hand on the HOME of whoever started them. */
    private static function home(): string
    {
        $home = (string) getenv('HOME');
        if (function_exists('posix_geteuid') && ($home === '' || @fileowner($home) !== posix_geteuid())) {
            $home = posix_getpwuid(posix_geteuid())['dir'] ?? '';
        }
        return rtrim($home, '/');
    }

    private static function contents(string $path): string
    {
        $text = @file_get_contents($path, false, null, 0, 1048576);
        if ($text === false) {
            throw new HoldfastError('setup', "$path cannot be read" . HoldfastSql::whoWeAre());
        }
        return $text;
    }
}

/* The journal, by whichever of PHP's two extensions is there. Not for use from
 * outside of this file. */
final class HoldfastSql
{
    private string $path;
    private array $file;                    // which file that was, opened by which process
    private ?SQLite3 $sqlite = null;
    private ?PDO $pdo = null;

    public function __construct(string $path, float $timeout)
    {
        $this->path = $path;
        $this->file = self::identity($path);
        if ($this->file === []) { // PDO would make an empty one
            throw new HoldfastError('setup', "$path: there is no journal, or it cannot be reached" . self::whoWeAre());
        }
        $this->guard(function () use ($path, $timeout): void {
            if (class_exists('SQLite3')) {
                $this->sqlite = new SQLite3($path, SQLITE3_OPEN_READWRITE);
                $this->sqlite->enableExceptions(true);
                $this->sqlite->busyTimeout((int) ($timeout * 1000));
            } elseif (extension_loaded('pdo_sqlite')) {
                $this->pdo = new PDO("sqlite:$path", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
                    PDO::ATTR_TIMEOUT => (int) ceil($timeout)]);
            } else {
                throw new HoldfastError('setup', 'PHP needs the extension sqlite3 or pdo_sqlite');
            }
        });
    }

    /* Not after a restore, which puts another file there, nor after a fork. */
    public function isOf(string $path): bool
    {
        return $path === $this->path && self::identity($path) === $this->file;
    }

    public function head(): string
    {
        $head = $this->rows("SELECT (SELECT value FROM meta WHERE name = 'epoch') AS epoch, seq
                             FROM sqlite_sequence WHERE name = 'messages'")[0];
        return 'j:' . rtrim(strtr(base64_encode((string) hex2bin($head['epoch'])), '+/', '-_'), '=') . '.' . $head['seq'];
    }

    /* $do in one transaction, which is never left open. */
    public function within(string $begin, callable $do)
    {
        $this->rows($begin);
        try {
            $result = $do($this);
            $this->rows('COMMIT');
            return $result;
        } catch (Throwable $e) {
            try {
                $this->rows('ROLLBACK');
            } catch (HoldfastError $over) {
                // SQLite has ended it already
            }
            throw $e;
        }
    }

    public function lastId(): int
    {
        return $this->sqlite ? $this->sqlite->lastInsertRowID() : (int) $this->pdo->lastInsertId();
    }

    /* Run one statement; its rows, by name of the column. */
    public function rows(string $sql, array $values = []): array
    {
        return $this->guard(function () use ($sql, $values): array {
            return $this->sqlite ? $this->rowsOfSqlite($sql, $values) : $this->rowsOfPdo($sql, $values);
        });
    }

    private function rowsOfSqlite(string $sql, array $values): array
    {
        $statement = $this->sqlite->prepare($sql);
        foreach ($values as $i => $value) {
            $bytes = $value instanceof HoldfastBytes;
            $type = is_int($value) ? SQLITE3_INTEGER : ($value === null ? SQLITE3_NULL : SQLITE3_TEXT);
            $statement->bindValue($i + 1, $bytes ? $value->bytes : $value, $bytes ? SQLITE3_BLOB : $type);
        }
        $result = $statement->execute();
        $rows = [];
        // fetchArray would run a statement without columns a second time
        while ($result->numColumns() > 0 && ($row = $result->fetchArray(SQLITE3_ASSOC)) !== false) {
            $rows[] = $row;
        }
        $result->finalize();
        $statement->close();
        return $rows;
    }

    private function rowsOfPdo(string $sql, array $values): array
    {
        $statement = $this->pdo->prepare($sql);
        foreach ($values as $i => $value) {
            $bytes = $value instanceof HoldfastBytes;
            $type = is_int($value) ? PDO::PARAM_INT : ($value === null ? PDO::PARAM_NULL : PDO::PARAM_STR);
            $statement->bindValue($i + 1, $bytes ? $value->bytes : $value, $bytes ? PDO::PARAM_LOB : $type);
        }
        $statement->execute();
        $rows = $statement->columnCount() > 0 ? $statement->fetchAll(PDO::FETCH_ASSOC) : [];
        $statement->closeCursor();
        return $rows;
    }

    /* SQLite's errors in our words. */
    private function guard(callable $do)
    {
        try {
            return $do();
        } catch (HoldfastError $e) {
            throw $e;
        } catch (PDOException $e) {
            $code = (int) ($e->errorInfo[1] ?? $e->getCode());
            throw self::said($code, $e->errorInfo[2] ?? $e->getMessage(), $e);
        } catch (Exception $e) {
            $code = $this->sqlite ? $this->sqlite->lastErrorCode() : 14; // it could not be opened
            throw self::said($code, $this->sqlite && $code ? $this->sqlite->lastErrorMsg() : $e->getMessage(), $e);
        }
    }

    private static function said(int $code, string $words, Exception $e): HoldfastError
    {
        $reasons = [5 => 'busy', 6 => 'busy', 10 => 'journal_failed', 11 => 'journal_failed', 13 => 'journal_full',
            26 => 'journal_failed', 19 => 'refused by the journal'];
        $reason = $reasons[$code] ?? 'setup';
        if ($code === 19) {
            $reason = strncmp($words, 'key: used', 9) === 0 ? 'key_reused' : $reason;
            $reason = strncmp($words, 'payload: longer', 15) === 0 ? 'payload too large' : $reason;
        }
        return new HoldfastError($reason, $reason === 'setup' ? $words . self::whoWeAre() : $words, $e);
    }

    /* What is wrong with a directory is mostly whose it is. */
    public static function whoWeAre(): string
    {
        $account = function_exists('posix_getpwuid') ? posix_getpwuid(posix_geteuid()) : false;
        return $account ? " (PHP runs as $account[name])" : '';
    }

    private static function identity(string $path): array
    {
        clearstatcache(true, $path);
        $stat = @stat($path);
        return $stat === false ? [] : [$stat['dev'], $stat['ino'], getmypid()];
    }
}
