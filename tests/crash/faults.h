/*
 * faults.h - the failing of every call: what driver and story know of each other
 */
#ifndef HF_TESTS_CRASH_FAULTS_H
#define HF_TESTS_CRASH_FAULTS_H

#include <stdbool.h>

#define OLD_ROWS 110u /* in the journal before the story; n is 1 .. OLD_ROWS */

/* A rule is broken: ends the process. */
_Noreturn void fault_bad(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Did the fault strike yet? */
bool fault_struck(void);
/* Was it a sync of the journal? */
bool fault_was_sync(void);

/* Fill the directory that the story begins with. */
void story_prepare(const char *directory);

/*
 * Open a journal, publish in several ways, follow it with three clients, remove
 * what is old, close. Whatever fails must say so and must work when it is tried
 * again; in the end everything is as if nothing had failed, or the journal
 * refuses because a sync was lost. fault_bad if not.
 */
void story_tell(const char *directory);

/* Afterwards, with faults off. */
void story_check(const char *directory);

#endif
