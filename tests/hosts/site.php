<?php
// A page of the site that the chat lives beside, on a shared host: what a small
// blog does for one visitor. Its database is made by tests/js/lib/shared_host.js.
$db = new SQLite3(__DIR__ . '/../site.db', SQLITE3_OPEN_READONLY);
$db->busyTimeout(2000);

function rows(SQLite3 $db, string $sql, array $values): array
{
    $statement = $db->prepare($sql);
    foreach (array_values($values) as $i => $value) {
        $statement->bindValue($i + 1, $value);
    }
    $result = $statement->execute();
    for ($rows = []; $row = $result->fetchArray(SQLITE3_ASSOC);) {
        $rows[] = $row;
    }
    return $rows;
}

function words(string $text): int
{
    return count(array_filter(preg_split('/\W+/', $text)));
}

$author = ($_GET['n'] ?? 0) % 50;
$posts = rows($db, 'SELECT id, title, body FROM posts WHERE author = ? ORDER BY title LIMIT 20', [$author]);
$html = '';
foreach ($posts as $post) {
    $comments = rows($db, 'SELECT body FROM comments WHERE post = ? ORDER BY id', [$post['id']]);
    $html .= sprintf(
        "<article><h2>%s</h2><p>%s</p><p>%d words, %d comments</p></article>\n",
        htmlspecialchars($post['title']),
        htmlspecialchars($post['body']),
        words($post['body']) + array_sum(array_map(fn($c) => words($c['body']), $comments)),
        count($comments)
    );
}
[$found] = rows($db, 'SELECT count(*) AS n FROM comments WHERE body LIKE ?', ["%$author lorem%"]);
header('Content-Type: text/html; charset=utf-8');
echo "<!DOCTYPE html><title>Author $author</title>\n$html<footer>$found[n] times mentioned</footer>\n";
