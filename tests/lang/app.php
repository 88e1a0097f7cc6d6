<?php
// app.php - an application behind hooks, for tests/js/lang.test.js; LIBRARY and
// HOLDFAST_DIR in the environment
require getenv('LIBRARY');

(new Holdfast())->answer(function (array $call): array {
    echo 'what an application prints by mistake is not in the answer';
    switch ($call['hook']) {
        case 'join':
            return $call['topic'] === 'room:staff' ? ['status' => 'error', 'response' => ['reason' => 'staff only']]
                : ['status' => 'ok', 'response' => [], 'actions' => [
                    ['do' => 'track', 'key' => 'k', 'meta' => []],
                    ['do' => 'push', 'event' => 'welcome', 'payload' => ['to' => $call['topic']]]]];
        case 'push':
            if ($call['event'] === 'fail') {
                throw new Exception('a mistake');
            }
            return $call['payload'] instanceof HoldfastBytes
                ? ['status' => 'ok', 'response' => new HoldfastBytes(strrev($call['payload']->bytes))]
                : ['status' => 'ok', 'actions' => [
                    ['do' => 'broadcast', 'event' => 'said', 'payload' => $call['payload']]]];
    }
    return [];
});
