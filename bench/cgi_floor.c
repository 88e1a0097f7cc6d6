/*
 * cgi_floor - a CGI program that does next to nothing with our libraries
 *
 *     cgi_floor JOURNAL [MS]
 *
 * Asks libfcgi how it was started, opens the database, asks one row, waits MS
 * and answers.
 */
#include <fcgiapp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;

    if (argc < 2 || FCGX_Init() != 0 || !FCGX_IsCGI() ||
        !getenv("QUERY_STRING"))
        return 1;
    if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) ||
        sqlite3_busy_timeout(db, 1000) || /* who closes last tidies up */
        sqlite3_prepare_v2(db, "SELECT max(id) FROM messages", -1, &stmt,
                           NULL) ||
        sqlite3_step(stmt) != SQLITE_ROW)
        return 1;
    if (argc > 2)
        (void)usleep((useconds_t)strtoul(argv[2], NULL, 10) * 1000);
    (void)printf("Status: 200 OK\r\n\r\n%d\n", sqlite3_column_int(stmt, 0));
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return 0;
}
