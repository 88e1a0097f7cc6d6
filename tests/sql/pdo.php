<?php
[, $journal, $topic, $event, $payload] = $argv;

$db = new PDO("sqlite:$journal");
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->setAttribute(PDO::ATTR_TIMEOUT, 5);
$insert = $db->prepare('INSERT INTO messages (topic, event, payload) VALUES (?, ?, ?)');
$insert->execute([$topic, $event, $payload]);
