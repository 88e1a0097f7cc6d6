<?php
// A foreign publisher with PHP's own settings (synchronous FULL): COUNT rows
// to TOPICS topics in turn, one transaction each, PAUSE ms apart. Prints how
// long each transaction took, ns.
[, $journal, $topics, $count, $pause] = $argv;

$db = new SQLite3($journal);
$db->busyTimeout(5000);
$db->enableExceptions(true);
$insert = $db->prepare("INSERT INTO messages(topic, event, payload) VALUES (?, 'tick', ?)");
$times = [];
for ($i = 0; $i < $count; $i++) {
    $insert->bindValue(1, 'room:' . $i % $topics);
    $insert->bindValue(2, json_encode(['i' => $i, 'text' => str_repeat('x', 80)]));
    $begun = hrtime(true);
    $insert->execute()->finalize();
    $times[] = hrtime(true) - $begun;
    usleep($pause * 1000);
}
echo implode("\n", $times), "\n";
