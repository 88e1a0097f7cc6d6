<?php
// ticker.php - invents prices, and publishes them with an INSERT; no library
//
//     php ticker.php /path/to/journal.db
PHP_SAPI === 'cli' || exit('for the command line');

$db = new SQLite3($argv[1] ?? 'journal.db');
$db->busyTimeout(5000);
$insert = $db->prepare(
    "INSERT INTO messages (topic, event, payload) VALUES ('demo:ticker', 'prices', ?)");

// it goes on where the last one ended
$last = $db->querySingle(
    "SELECT payload FROM messages WHERE topic = 'demo:ticker' ORDER BY id DESC LIMIT 1");
$usual = ['Kelp' => 96.0, 'Coral' => 241.5, 'Amber' => 38.2, 'Pearl' => 512.0];
$prices = json_decode($last ?? '{}', true)['prices'] ?? $usual;

for (;; usleep(500000)) {
    foreach ($usual as $name => $middle) {
        $luck = (mt_rand() + mt_rand() + mt_rand()) / mt_getrandmax() - 1.5;
        $price = $prices[$name] + 0.006 * $middle * $luck + 0.01 * ($middle - $prices[$name]);
        $prices[$name] = round(max($price, 1), 2);
    }
    $now = (int) (microtime(true) * 1000);
    $insert->bindValue(1, json_encode(['at' => $now, 'prices' => $prices]));
    @$insert->execute(); // while somebody else writes for seconds, one is left out
}
