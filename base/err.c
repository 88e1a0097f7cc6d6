#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *hf_strerror(int err)
{
    if (err > 0)
        return "no known error";
    switch ((enum hf_err)err) {
    case HF_OK:
        return "no error";
    case HF_ENOMEM:
        return "out of memory";
    case HF_EINVAL:
        return "the argument is not allowed";
    case HF_EMALFORMED:
        return "the bytes do not have the expected form";
    case HF_ELIMIT:
        return "a limit is reached";
    case HF_EBUSY:
        return "a lock was held for too long";
    case HF_EIO:
        return "a system call failed";
    case HF_ESTORE:
        return "the database refused or is damaged";
    case HF_ENOTFOUND:
        return "no such thing";
    case HF_EDENIED:
        return "no right to do so";
    case HF_EEXIST:
        return "there already";
    case HF_ECLOSED:
        return "the other side is gone";
    case HF_ECONFLICT:
        return "the same key was used with another content";
    case HF_EGAP:
        return "what was asked for is no longer kept";
    case HF_EAGAIN:
        return "nothing now, ask again later";
    case HF_EFAILED:
        return "the disk did not keep what was written";
    case HF_EBLOCKED:
        return "the write-ahead log has grown to its ceiling";
    case HF_EFULL:
        return "the disk is full";
    case HF_EREPLACED:
        return "a file of the journal was replaced while it was open";
    case HF_EEXPIRED:
        return "its time is over";
    }
    return "no known error";
}

int hf_explain(struct hf_why *why, int err, const char *format, ...)
{
    va_list args;

    if (!why)
        return err;
    va_start(args, format);
    /* Too long a text is cut: still better than none. */
    (void)vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    return err;
}
