<?php
// refuse.php CLASS JOURNAL <cases: see refusals.sh
[, $class, $journal] = $argv;

if ($class === 'pdo') {
    $db = new PDO("sqlite:$journal");
    $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    $before = 'SQLSTATE[23000]: Integrity constraint violation: 19 ';
    $prepared = fn($sql) => $db->prepare($sql)->execute();
} else {
    $db = new SQLite3($journal);
    $db->enableExceptions(true);
    $before = 'Unable to execute statement: ';
    $prepared = fn($sql) => $db->prepare($sql)->execute();
}
while (($line = fgets(STDIN)) !== false) {
    $statements = explode("\t", rtrim($line, "\n"));
    $sql = array_pop($statements);
    $db->exec('BEGIN IMMEDIATE');
    array_map(fn($first) => $db->exec($first), $statements);
    try {
        $prepared($sql);
        echo "taken\n";
    } catch (Exception $e) {
        $words = $e->getMessage();
        echo str_starts_with($words, $before) ? substr($words, strlen($before)) : "? $words", "\n";
    }
    $db->exec('ROLLBACK');
}
