<?php
[, $journal, $topic, $event, $payload] = $argv;

$db = new SQLite3($journal);
$db->busyTimeout(5000);
$db->enableExceptions(true);
$insert = $db->prepare('INSERT INTO messages (topic, event, payload) VALUES (?, ?, ?)');
$insert->bindValue(1, $topic);
$insert->bindValue(2, $event);
$insert->bindValue(3, $payload);
$insert->execute();
