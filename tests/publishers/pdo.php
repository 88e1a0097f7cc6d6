<?php
[, $journal, $topic, $name, $count, $pause] = $argv;

$db = new PDO("sqlite:$journal");
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->setAttribute(PDO::ATTR_TIMEOUT, 5);
$insert = $db->prepare('INSERT INTO messages(topic, event, payload) VALUES (?, ?, ?)');
for ($i = 1; $i <= $count; $i++) {
    $insert->execute([$topic, 'note', json_encode(['uid' => "$name-$i"])]);
    echo "$name-$i ", $db->lastInsertId(), "\n";
    usleep($pause * 1000);
}
