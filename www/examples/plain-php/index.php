<?php
// A guest book that is live: who says a name may write, all who look at it see
// it at once. In plain PHP, one page; README.md tells how to try it.
require __DIR__ . '/holdfast.php';

const TOPIC = 'room:guests';
const SOCKET = '/socket'; // where Holdfast is mounted

$holdfast = new Holdfast(); // or new Holdfast('/home/me/journal')
session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax']);
$name = $_SESSION['name'] ?? '';
$_SESSION['form'] = $_SESSION['form'] ?? bin2hex(random_bytes(16)); // known to our own form only

// The program in the page asks for a fresher token before its own ends. It says
// nobody's name: one that anybody may choose is no login.
if (isset($_GET['token'])) {
    header('Content-Type: application/json');
    header('Cache-Control: no-store');
    echo json_encode(['token' => $holdfast->token('', [TOPIC => ['join']], 900)]);
    exit;
}

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (!hash_equals($_SESSION['form'], (string) ($_POST['form'] ?? ''))) {
        http_response_code(403);
        exit('The form is too old: load the page again.');
    }
    $text = trim((string) ($_POST['text'] ?? ''));
    if ($name === '') {
        $_SESSION['name'] = shortened(trim((string) ($_POST['name'] ?? '')), 40);
    } elseif ($text !== '') {
        // who may say what is decided here; then it is published
        $holdfast->publish(TOPIC, 'entry', ['name' => $name, 'text' => shortened($text, 500)]);
    }
    // on this site, whatever was asked for: //example.com would be another
    header('Location: /' . ltrim(strtok($_SERVER['REQUEST_URI'], '?'), '/'), true, 303);
    exit;
}

// What there is now, and the cursor where the page goes on live.
['cursor' => $since, 'messages' => $entries] = $holdfast->page(TOPIC, 50, 'entry');
header('Cache-Control: no-store');

// The first characters of a text, also where PHP has no mbstring.
function shortened(string $text, int $length): string
{
    return preg_match("/^.{0,$length}/us", $text, $m) ? $m[0] : '';
}

function html($text): string
{
    return htmlspecialchars(is_string($text) ? $text : '');
}
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Guest book</title>
<h1>Guest book</h1>
<ol id="entries" data-socket="<?= html(SOCKET) ?>" data-topic="<?= html(TOPIC) ?>" data-since="<?= html($since) ?>">
<?php foreach (array_filter(array_column($entries, 'payload'), 'is_array') as $entry): ?>
  <li><b><?= html($entry['name'] ?? '') ?></b> <?= html($entry['text'] ?? '') ?></li>
<?php endforeach ?>
</ol>
<form method="post">
  <input type="hidden" name="form" value="<?= html($_SESSION['form']) ?>">
<?php if ($name === ''): ?>
  <label>Your name <input name="name" maxlength="40" required></label> <button>Come in</button>
<?php else: ?>
  <label><?= html($name) ?>: <input name="text" maxlength="500" required autocomplete="off"></label> <button>Write</button>
<?php endif ?>
</form>

<script type="module">
import { Socket } from "./holdfast.js";

const list = document.querySelector("#entries");
const { socket: mount, topic, since } = list.dataset;
const socket = new Socket(mount, {
  authToken: async () => (await (await fetch("?token", { cache: "no-store" })).json()).token,
});
const channel = socket.channel(topic, { since });
channel.on("entry", ({ name, text }) => {
  const item = document.createElement("li");
  const who = document.createElement("b");
  who.textContent = name;
  item.append(who, ` ${text}`);
  list.append(item);
});
channel.onGap(() => location.reload()); // what came meanwhile is not kept any more: begin anew
channel.join();
socket.connect();

// Without this the form works, too, but loads the page again.
document.querySelector("form").addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.text) return;
  event.preventDefault();
  const said = await fetch("", { method: "POST", body: new FormData(form), redirect: "manual" });
  if (said.ok || said.type === "opaqueredirect") form.reset();
  else form.submit();
});
</script>
</html>
