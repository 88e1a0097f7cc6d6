-- What tests/hosts/site.php shows.
CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER, title TEXT, body TEXT);
CREATE TABLE comments (id INTEGER PRIMARY KEY, post INTEGER, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO posts
SELECT i, i % 50, 'Post <' || ((i * 7919) % 1000) || '>',
       replace(hex(zeroblob(40)), '00', 'lorem ipsum & dolor ')
FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
INSERT INTO comments
SELECT i, i % 1000, i % 50 || ' ' || replace(hex(zeroblob(10)), '00', 'lorem ipsum ')
FROM n;
CREATE INDEX posts_author ON posts (author);
CREATE INDEX comments_post ON comments (post);
