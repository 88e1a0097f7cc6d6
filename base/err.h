/*
 * err.h - what can go wrong, as negative numbers, and a sentence about it
 *
 * A fallible function returns 0 or one of these. Whoever decides what to do
 * about a failure logs it, once; nobody below does.
 */
#ifndef HF_BASE_ERR_H
#define HF_BASE_ERR_H

enum hf_err {
    HF_OK = 0,
    HF_ENOMEM = -1,     /* out of memory */
    HF_EINVAL = -2,     /* the caller's or the peer's argument is not allowed */
    HF_EMALFORMED = -3, /* bytes that are not what the format asks for */
    HF_ELIMIT = -4,     /* a limit is reached: size, count or depth */
    HF_EBUSY = -5,      /* a lock was held past the deadline; safe to retry */
    HF_EIO = -6,        /* a system call failed; errno says why */
    HF_ESTORE = -7,     /* the database refused or is damaged */
    HF_ENOTFOUND = -8,  /* no such thing */
    HF_EDENIED = -9,    /* no right to do so */
    HF_EEXIST = -10,    /* there already */
    HF_ECLOSED = -11,   /* the other side is gone, or we are shutting down */
    HF_ECONFLICT = -12, /* the same key with another content */
    HF_EGAP = -13,      /* rows that were asked for are no longer kept */
    HF_EAGAIN = -14,    /* nothing now; ask again when told */
    HF_EFAILED = -15,   /* the disk lost a sync: no publish until rescued */
    HF_EBLOCKED = -16,  /* the write-ahead log has reached its ceiling */
    HF_EFULL = -17,     /* the disk is full */
    HF_EREPLACED = -18, /* a file was replaced while we had it open */
    HF_EEXPIRED = -19,  /* its time is over */
};

/* One line, no final dot, never NULL: "a limit is reached". */
const char *hf_strerror(int err);

/*
 * Words for the person who started the program: what happened, why, and what
 * to do next. Filled by functions that run at start-up; empty on success.
 */
struct hf_why {
    char text[512];
};

/* Fill *why (NULL is allowed) and return err, so that callers can write
 * `return hf_explain(why, HF_EINVAL, "...", ...)`. */
int hf_explain(struct hf_why *why, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
