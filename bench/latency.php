<?php
// A foreign publisher with PHP's own settings (synchronous FULL): says when
// each commit had returned, on the clock that Node reads too.
[, $journal, $topic, $count, $pause] = $argv;

$db = new SQLite3($journal);
$db->busyTimeout(5000);
$db->enableExceptions(true);
if ($db->querySingle('PRAGMA synchronous') != 2) {
    exit("synchronous is not FULL\n");
}
$insert = $db->prepare("INSERT INTO messages(topic, event, payload) VALUES (?, 'tick', ?)");
$times = [];
for ($i = 1; $i <= $count; $i++) {
    $insert->bindValue(1, $topic);
    $insert->bindValue(2, json_encode(['i' => $i, 'text' => str_repeat('x', 80)]));
    $insert->execute()->finalize();
    $times[] = hrtime(true);
    usleep(random_int($pause * 500, $pause * 1500));
}
echo implode("\n", $times), "\n";
