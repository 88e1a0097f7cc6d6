/*
 * readable.h - may this row go out to anybody?
 *
 * The triggers refuse what a script gets wrong, but not everything: SQLite does
 * not look whether a text is UTF-8, its json_valid takes half a surrogate pair
 * and 2,000 levels, and who drops a trigger or writes with another SQLite is
 * not asked. One such row in a frame would close the WebSocket of everybody on
 * its topic. So each row is looked at again where it is read (reading.c), once
 * for all who get it.
 */
#ifndef HF_SCHEMA_READABLE_H
#define HF_SCHEMA_READABLE_H

#include "schema/journal.h"

/* NULL, or in a few words why nobody can be given this row. */
const char *hf_row_unreadable(const struct hf_row *row);

#endif
