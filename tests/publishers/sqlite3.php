<?php
[, $journal, $topic, $name, $count, $pause] = $argv;

$db = new SQLite3($journal);
$db->busyTimeout(5000);
$db->enableExceptions(true);
$insert = $db->prepare('INSERT INTO messages(topic, event, payload) VALUES (?, ?, ?)');
for ($i = 1; $i <= $count; $i++) {
    $insert->bindValue(1, $topic);
    $insert->bindValue(2, 'note');
    $insert->bindValue(3, json_encode(['uid' => "$name-$i"]));
    $insert->execute()->finalize();
    echo "$name-$i ", $db->lastInsertRowID(), "\n";
    usleep($pause * 1000);
}
