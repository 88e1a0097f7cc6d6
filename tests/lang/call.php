<?php
// call.php LIBRARY - do calls of holdfast.php; for tests/js/lang.test.js
//
// Standard input: {"where", "options", "calls": [["publish", "room:a", "e", 1], ...]}
// Standard output, for each call: {"ok": RESULT} or {"refused": REASON, "said": WORDS}
require $argv[1];
$asked = json_decode(stream_get_contents(STDIN), true);
$holdfast = new Holdfast($asked['where'], $asked['options']);
$bytes = fn($value) => is_array($value) && isset($value['_binary'])
    ? new HoldfastBytes(base64_decode($value['_binary'])) : $value;
$said = [];
foreach ($asked['calls'] as [$name, $args]) {
    try {
        $said[] = ['ok' => $holdfast->$name(...array_map($bytes, $args))];
    } catch (HoldfastError $e) {
        $said[] = ['refused' => $e->reason, 'said' => $e->getMessage()];
    }
}
echo json_encode($said);
