<?php
// The last messages of a room, printed by PHP, and a page that goes on live
// where they end. README.md tells why nothing is missed in between.
$topic = 'room:lobby';
$db = new SQLite3(getenv('HOLDFAST_JOURNAL') ?: '/home/me/journal/journal.db', SQLITE3_OPEN_READWRITE);
$db->busyTimeout(5000);
$db->enableExceptions(true);

// In one transaction, so that cursor and messages are of the same moment.
$db->exec('BEGIN');
$head = $db->querySingle("SELECT (SELECT value FROM meta WHERE name = 'epoch') AS epoch, seq
                          FROM sqlite_sequence WHERE name = 'messages'", true);
$last = $db->prepare("SELECT payload FROM messages WHERE topic = ? AND event = 'new_msg' AND kind = 0
                      ORDER BY id DESC LIMIT 50");
$last->bindValue(1, $topic);
$rows = $last->execute();
$messages = [];
while ($row = $rows->fetchArray(SQLITE3_ASSOC)) array_unshift($messages, json_decode($row['payload'], true));
$db->exec('COMMIT');

$epoch = rtrim(strtr(base64_encode(hex2bin($head['epoch'])), '+/', '-_'), '=');
$since = "j:$epoch.{$head['seq']}";

header('Cache-Control: no-cache');
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Messages that go on live</title>
<h1>Lobby</h1>
<ol id="messages" data-topic="<?= $topic ?>" data-since="<?= $since ?>">
<?php foreach ($messages as $message): ?>
  <li><?= htmlspecialchars(is_string($message['body'] ?? null) ? $message['body'] : '') ?></li>
<?php endforeach ?>
</ol>

<script type="module">
import { Socket } from "../../holdfast.js";

const socket = new Socket("/socket");
socket.connect();
follow(document.querySelector("#messages"));

// Everything after `since` is appended, whenever it was published.
function follow(list) {
  const { topic, since } = list.dataset;
  const channel = socket.channel(topic, { since });
  channel.on("new_msg", (message) => {
    const item = document.createElement("li");
    item.textContent = typeof message?.body === "string" ? message.body : "";
    list.append(item);
  });
  channel.onGap(async () => {
    // What came after it is not kept any more: begin anew with what is there.
    channel.leave();
    const fresh = await load();
    list.replaceWith(fresh);
    follow(fresh);
  });
  channel.join();
}

// This page's list as it is now, with a cursor of now.
async function load() {
  for (;;) {
    try {
      const page = await fetch(location.href, { cache: "no-store" });
      if (page.ok) return new DOMParser().parseFromString(await page.text(), "text/html").querySelector("#messages");
    } catch {
      // no network: again
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}
</script>
</html>
