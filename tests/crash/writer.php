<?php
// A script that must not lose a message and may be ended at any moment: each
// line "KEY TAB TOPIC TAB PAYLOAD" of standard input is one INSERT with a key;
// answered "ID TAB KEY TAB MILLISECONDS" once it is committed. Whoever starts
// it repeats what had no answer.
[, $journal, $publisher] = $argv;

$db = new SQLite3($journal);
$db->busyTimeout(5000);
$db->enableExceptions(true);
$insert = $db->prepare("INSERT INTO messages (topic, event, payload, publisher, key) VALUES (?, 'note', ?, ?, ?)");
$find = $db->prepare('SELECT id FROM messages WHERE publisher = ? AND key = ?');

while (($line = fgets(STDIN)) !== false) {
    [$key, $topic, $payload] = explode("\t", rtrim($line, "\n"), 3);
    foreach ([1 => $topic, $payload, $publisher, $key] as $place => $value) {
        $insert->bindValue($place, $value);
    }
    for (;;) {
        try {
            $insert->execute()->finalize();
            break;
        } catch (Exception $error) {
            // SQLite's own waiting may starve; the key makes it safe to repeat
            if (!str_contains($error->getMessage(), 'locked')) {
                throw $error;
            }
        }
    }
    $committed = (int) (microtime(true) * 1000);
    $find->bindValue(1, $publisher);
    $find->bindValue(2, $key);
    $result = $find->execute();
    // deleted since, if it is not there: then its place is not known any more
    $row = $result->fetchArray(SQLITE3_NUM);
    $result->finalize();
    echo $row ? $row[0] : 0, "\t$key\t$committed\n";
}
