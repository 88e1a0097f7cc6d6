/*
 * inspect_impl.h - what the parts of an inspection share
 */
#ifndef HF_SCHEMA_INSPECT_IMPL_H
#define HF_SCHEMA_INSPECT_IMPL_H

#include <sys/stat.h>

#include "schema/dir.h"
#include "schema/inspect.h"
#include "schema/settings.h"

struct hf_look {
    const struct hf_inspection *wish;
    struct hf_dir dir;
    struct stat st; /* of the directory */
    struct hf_settings settings;
    int64_t free_pages; /* bytes of them in the journal; 0: or not known */
    enum hf_finding_level worst;
};

void hf_found(struct hf_look *look, enum hf_finding_level level,
              const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* inspect_locks.c: forks. */
void hf_inspect_locks(struct hf_look *look);
/* inspect_db.c: opens the journal. */
void hf_inspect_db(struct hf_look *look);

#endif
