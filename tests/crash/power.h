/*
 * power.h - the power cut test: what its processes know of each other
 *
 * One process is under load on a simulated disk (tests/vfs/disk.h). At a cut it
 * stops, leaves an image of the directory and a copy of the facts, and another
 * process, started after the power has come back, judges the image by the
 * facts. Then the load goes on to its next cut; after the last cut of a round it
 * ends, as at a real one, and the next round begins on that image. So a journal
 * lives through many cuts.
 *
 *     load  ---facts, image--->  judge: opens it, other boot id, compares,
 *      ^                               publishes on
 *      |                                 |
 *      +---- next round: the image ------+
 */
#ifndef HF_TESTS_CRASH_POWER_H
#define HF_TESTS_CRASH_POWER_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "schema/settings.h"
#include "tests/vfs/disk.h"

#define MESSAGES 120000u
#define TOPICS   7u
#define PAYLOAD  3000u

/* What its publisher was promised. */
enum promise { PROMISED_NOTHING, PROMISED_UNLESS_CUT, PROMISED };

/* Message n; its topic, key and payload follow from n (power_message). */
struct fact {
    _Atomic uint64_t id; /* as somebody was told; 0 = nobody was */
    _Atomic unsigned char promise;
    _Atomic unsigned char seen; /* by a reader */
    unsigned char foreign;      /* published by a script */
    unsigned char again;        /* published after its successors */
};

struct facts {
    _Atomic uint32_t next;       /* first message never sent */
    _Atomic uint64_t highest;    /* greatest id or head anybody was told */
    _Atomic uint64_t delete_end; /* ids up to here may have been deleted */
    _Atomic uint64_t deleted;    /* up to here they are, and stay so */
    uint64_t epoch;
    struct fact messages[MESSAGES];
};

/* How scripts beside us set PRAGMA synchronous. */
enum foreign { FOREIGN_NONE, FOREIGN_FULL, FOREIGN_NORMAL, FOREIGN_OFF };

struct round {
    uint64_t seed;
    unsigned cuts;
    enum hf_durability durability;
    enum foreign foreign;
    bool deletes;
    bool scripts_first; /* open, insert, close, before any of ours */
    bool control;       /* FOREIGN_OFF is called PROMISED */
    bool soon;          /* cut right after the start, while ids leap */
    bool rebooted;      /* the load is the first to open it in its boot */
    unsigned boot;
};

/* What judges have found, over all cuts. */
struct findings {
    unsigned cuts;
    unsigned at[DISK_MOMENTS]; /* cuts by moment */
    uint64_t promised;         /* and there */
    uint64_t deleted;          /* promised, deleted since */
    uint64_t unpromised;       /* there all the same */
    uint64_t lost;             /* promised, and gone: never */
    uint64_t lost_normal;      /* promised unless cut, and gone */
    uint64_t cursors, gaps, resets, new_epochs;
    uint64_t repeats; /* keyed messages sent again */
    uint64_t fresh;   /* ids given after a cut */
    unsigned corrupt; /* control only */
    unsigned bad[16]; /* by rule; names in power.c */
};

enum rule {
    RULE_OPENS,
    RULE_SOUND,
    RULE_KEPT,
    RULE_IDS,     /* an id or payload is not what was told */
    RULE_NEW_IDS, /* an id given twice */
    RULE_ORDER,
    RULE_ONCE,    /* keyed repeats */
    RULE_SEEN,    /* a reader has seen what is not there */
    RULE_DELETED, /* what was deleted is back */
    RULE_CURSORS, /* continued with something missing, unsaid */
    RULE_SUFFIX,  /* other than the last commits is lost */
    RULE_EPOCH,
    RULE_INIT,
    RULE_MIGRATE,
    RULES
};

struct shared {
    struct facts now;
    struct facts at_cut; /* the judge adds what it learns and publishes */
    struct findings findings;
    enum disk_moment moment;
    char first_bad[400];
};

extern struct shared *shared;

/* The boot id that hf_boot_id gives from now on in this process. */
void power_boot(unsigned number);

/* Message n as it is published; the texts are borrowed from the struct. */
struct message {
    char topic[16];
    char key[24]; /* empty: without */
    char payload[PAYLOAD];
};
void power_message(uint32_t n, struct message *out);

/* Somebody was told this id, or that the journal goes up to it. */
void power_learnt(struct facts *facts, uint64_t id);

/*
 * Never returns: works on `directory` until the last cut of the round. At each
 * writes a byte to `tell` when the image is made, and waits for one from
 * `go_on`. Ends with 0 after the last.
 */
_Noreturn void power_load(const struct round *round, const char *directory,
                          const char *image, int tell, int go_on);

/* Judge the image by shared->at_cut; adds to shared->findings. */
_Noreturn void power_judge(const struct round *round, const char *image,
                           unsigned boot);

/* Never return: make a journal until the power fails, then publish in it; and
 * make it again from what is left. */
_Noreturn void power_init(const char *directory, const char *image,
                          uint64_t seed);
_Noreturn void power_judge_init(const char *image);
/* The same for a journal with tables of version 1, which is brought forward. */
_Noreturn void power_migrate(const char *directory, const char *image,
                             uint64_t seed);
_Noreturn void power_judge_migrate(const char *image);

/* A rule is broken; the first one is remembered with its words. */
void power_bad(enum rule rule, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void power_die(const char *what, const char *why);

#endif
