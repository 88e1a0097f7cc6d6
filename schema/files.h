/*
 * files.h - which names in the journal directory are ours
 *
 * One list, for who must not touch other people's files (init), for who looks
 * ours over (check), and for who clears away what killed processes have left.
 */
#ifndef HF_SCHEMA_FILES_H
#define HF_SCHEMA_FILES_H

#include <stdbool.h>

#include "schema/dir.h"

/* The name of one of our files, or of one that was not yet renamed into place
 * (hf_file_replace); see dir.h for the list. */
bool hf_files_is_ours(const char *name);

/* Remove what processes killed in the middle of writing `head` or `upkeep` have
 * left: "head.0123456789abcdef.tmp", older than an hour. */
void hf_files_sweep(const struct hf_dir *dir);

#endif
