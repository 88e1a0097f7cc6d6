/*
 * findings.h - the troubles that a host can give, each with a name of its own
 *
 * One table for everybody who tells of a trouble: `holdfast doctor`, its page
 * and --check-config. The id is the anchor of the same trouble in
 * docs/TROUBLES.md, where its symptoms and its cure stand at length; a test
 * compares the two. Ids are public: scripts look for them, so none is renamed.
 *
 * What schema/inspect.h and check_config.h find comes by a subject; so each of
 * their subjects has its row here, and the doctor's own troubles have none.
 */
#ifndef HF_CHANNEL_FINDINGS_H
#define HF_CHANNEL_FINDINGS_H

#include <stddef.h>

#include "schema/inspect.h"

/* Where the anchors are, from the top of the distribution. */
#define HF_FINDINGS_PAGE "docs/TROUBLES.md"

struct hf_finding_kind {
    const char *id;
    /* OK: nothing is wrong, but who runs the host should know it: a note */
    enum hf_finding_level level;
    const char *subject; /* of those findings; NULL: the doctor's own */
    const char *what;
    const char *why; /* what it costs */
    const char *fix; /* what to do */
};

/* NULL: there is none of that id. */
const struct hf_finding_kind *hf_finding_kind(const char *id);

/* That of a finding by `subject`; NULL for what is as it should be, and for a
 * subject without a row. */
const struct hf_finding_kind *hf_finding_of(const char *subject,
                                            enum hf_finding_level level);

/* All of them, for tests and for the list in a manual. */
const struct hf_finding_kind *hf_findings(size_t *out_count);

#endif
