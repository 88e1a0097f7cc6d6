#include "schema/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#define VERSION  "1"
#define TEXT_MAX 1024u

/* --- the file ------------------------------------------------------------- */

/*
 * Two lines: numbers in the order of the struct, and the topic, in which a
 * foreign writer may have put whatever it liked; it goes to the last byte.
 */
static int format(char text[TEXT_MAX], const char *boot,
                  const struct hf_upkeep *u)
{
    return snprintf(
        text, TEXT_MAX,
        VERSION " %s %016" PRIx64 " %" PRId64 " %d %" PRId64 " %" PRId64
                " %" PRId64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRId64
                " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRId64 " %" PRId64
                " %" PRIu64 " %d\n%.*s\n",
        boot, u->epoch, u->idle_at_ms, u->has_offset, u->offset_ms, u->other_ms,
        u->other_at, u->kept.ripe.id, u->kept.ripe.boot_ms, u->kept.next.id,
        u->kept.next.boot_ms, u->retained.ripe.id, u->retained.ripe.boot_ms,
        u->retained.next.id, u->retained.next.boot_ms, u->count, u->counted,
        u->sweeping, (int)u->topic_len, u->topic);
}

static bool parse(const char *text, const char *boot, struct hf_upkeep *u)
{
    int has_offset = 0, sweeping = 0;
    char of_boot[37];
    int got;

    got = sscanf(
        text,
        VERSION " %36s %16" SCNx64 " %20" SCNd64 " %1d %20" SCNd64 " %20" SCNd64
                " %20" SCNd64 " %20" SCNu64 " %20" SCNd64 " %20" SCNu64
                " %20" SCNd64 " %20" SCNu64 " %20" SCNd64 " %20" SCNu64
                " %20" SCNd64 " %20" SCNd64 " %20" SCNu64 " %1d",
        of_boot, &u->epoch, &u->idle_at_ms, &has_offset, &u->offset_ms,
        &u->other_ms, &u->other_at, &u->kept.ripe.id, &u->kept.ripe.boot_ms,
        &u->kept.next.id, &u->kept.next.boot_ms, &u->retained.ripe.id,
        &u->retained.ripe.boot_ms, &u->retained.next.id,
        &u->retained.next.boot_ms, &u->count, &u->counted, &sweeping);
    u->has_offset = has_offset != 0;
    u->sweeping = sweeping != 0;
    return got == 18 && strcmp(of_boot, boot) == 0;
}

static bool take_topic(const char *text, size_t len, struct hf_upkeep *u)
{
    const char *line = memchr(text, '\n', len);
    size_t rest = line ? len - (size_t)(line + 1 - text) : 0;

    if (rest < 1 || rest - 1 > HF_UPKEEP_TOPIC || text[len - 1] != '\n')
        return false; /* cut short */
    u->topic_len = rest - 1;
    memcpy(u->topic, line + 1, u->topic_len);
    return true;
}

static void forget_ids(struct hf_upkeep *u, uint64_t epoch)
{
    u->epoch = epoch;
    u->kept = u->retained = (struct hf_marks){.ripe = {0, 0}};
    u->count = 0;
    u->counted = 0;
    u->sweeping = false;
    u->topic_len = 0;
}

void hf_upkeep_read(const struct hf_dir *dir, uint64_t epoch,
                    struct hf_upkeep *out)
{
    char text[TEXT_MAX + 1], boot[40];
    size_t len = 0;

    memset(out, 0, sizeof(*out));
    if (hf_boot_id(boot) ||
        hf_file_read(dir->fd, HF_FILE_UPKEEP, text, TEXT_MAX, &len))
        len = 0;
    text[len] = '\0';
    if (len == 0 || !parse(text, boot, out) || !take_topic(text, len, out))
        memset(out, 0, sizeof(*out));
    if (out->epoch != epoch)
        forget_ids(out, epoch);
}

int hf_upkeep_write(const struct hf_dir *dir, const struct hf_upkeep *upkeep)
{
    char text[TEXT_MAX], boot[40];
    int len;

    if (hf_boot_id(boot))
        return HF_EIO;
    len = format(text, boot, upkeep);
    if (len < 0 || (size_t)len >= sizeof(text))
        return HF_EIO; /* not reached: all is bounded */
    return hf_file_replace(dir->fd, HF_FILE_UPKEEP, dir->file_mode,
                           hf_str(text, (size_t)len), false);
}

/* --- the clock ------------------------------------------------------------ */

static bool are_near(int64_t a, int64_t b)
{
    return a - b <= HF_UPKEEP_CLOCK_MS && b - a <= HF_UPKEEP_CLOCK_MS;
}

static void believe(struct hf_upkeep *upkeep, int64_t offset_ms)
{
    upkeep->has_offset = true;
    upkeep->offset_ms = offset_ms;
    upkeep->other_at = 0;
}

static bool see_another(struct hf_upkeep *upkeep, int64_t offset_ms,
                        int64_t boot_ms, enum hf_clock_news *out_news)
{
    if (!upkeep->other_at || !are_near(upkeep->other_ms, offset_ms)) {
        *out_news = HF_CLOCK_JUMPED;
        upkeep->other_ms = offset_ms;
        upkeep->other_at = boot_ms;
        return false;
    }
    if (boot_ms - upkeep->other_at < HF_UPKEEP_STEADY_MS)
        return false;
    *out_news = HF_CLOCK_BELIEVED;
    believe(upkeep, offset_ms);
    return true;
}

bool hf_upkeep_clock(struct hf_upkeep *upkeep, int64_t boot_ms, int64_t wall_ms,
                     int64_t *out_now_ms, enum hf_clock_news *out_news)
{
    int64_t offset_ms = wall_ms - boot_ms;
    bool good = true;

    *out_news = HF_CLOCK_NO_NEWS;
    if (!upkeep->has_offset) {
        believe(upkeep, offset_ms);
    } else if (are_near(upkeep->offset_ms, offset_ms)) {
        if (upkeep->other_at)
            *out_news = HF_CLOCK_BACK;
        believe(upkeep, offset_ms); /* follows what NTP corrects bit by bit */
    } else {
        good = see_another(upkeep, offset_ms, boot_ms, out_news);
    }
    *out_now_ms = boot_ms + upkeep->offset_ms;
    return good;
}

/* --- marks ---------------------------------------------------------------- */

void hf_marks_note(struct hf_marks *marks, uint64_t head, int64_t boot_ms,
                   int64_t span_ms)
{
    if (marks->next.boot_ms && boot_ms - marks->next.boot_ms < span_ms)
        return;
    marks->ripe = marks->next;
    marks->next = (struct hf_mark){head, boot_ms};
}

uint64_t hf_marks_older(const struct hf_marks *marks, int64_t boot_ms,
                        int64_t span_ms)
{
    if (!marks->ripe.boot_ms || boot_ms - marks->ripe.boot_ms < span_ms)
        return 0;
    return marks->ripe.id;
}
