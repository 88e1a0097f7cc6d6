<?php
// tap.php - what tests in PHP share: t(SENTENCE, FUNCTION), is(), refused(), finish()

declare(strict_types=1);

error_reporting(E_ALL);
set_error_handler(function (int $level, string $words, string $file, int $line): bool {
    if (error_reporting() & $level) { // not after an @
        throw new ErrorException($words, 0, $level, $file, $line);
    }
    return false;
});

$tap = ['count' => 0, 'failed' => 0];

function t(string $sentence, callable $body): void
{
    global $tap;
    $tap['count']++;
    try {
        $body();
        echo "ok $tap[count] - $sentence\n";
    } catch (Throwable $e) {
        $tap['failed']++;
        echo "not ok $tap[count] - $sentence\n", preg_replace('/^/m', '# ', (string) $e), "\n";
    }
}

function is($got, $wanted): void
{
    if ($got !== $wanted) {
        throw new Exception('got ' . var_export($got, true) . ', wanted ' . var_export($wanted, true));
    }
}

// It must fail for this reason, with words that contain these.
function refused(string $reason, string $words, callable $body): void
{
    try {
        $body();
    } catch (HoldfastError $e) {
        is($e->reason, $reason);
        if ($words !== '' && strpos($e->getMessage(), $words) === false) {
            throw new Exception('said: ' . $e->getMessage());
        }
        return;
    }
    throw new Exception("it was not refused: $reason");
}

// A program's output, without the line break at its end.
function run(string ...$command): string
{
    exec(implode(' ', array_map('escapeshellarg', $command)) . ' 2>&1', $lines, $code);
    $said = implode("\n", $lines);
    if ($code !== 0) {
        throw new Exception("$command[0] ends with $code: $said");
    }
    return $said;
}

function finish(): void
{
    global $tap;
    echo "1..$tap[count]\n";
    exit($tap['failed'] === 0 && $tap['count'] > 0 ? 0 : 1);
}
