#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 40u

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment: three rows of the table of Levenshtein. Both words
 * have at most WORD_MAX letters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t i, k;

    for (k = 0; k <= b_len; k++)
        rows[0][k] = (unsigned)k;
    for (i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        const unsigned *higher = rows[(i + 1) % 3]; /* i - 2 */

        row[0] = (unsigned)i;
        for (k = 1; k <= b_len; k++) {
            row[k] = least(above[k], row[k - 1]) + 1;
            row[k] = least(row[k], above[k - 1] + !same(a[i - 1], b[k - 1]));
            if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) &&
                same(a[i - 2], b[k - 1]))
                row[k] = least(row[k], higher[k - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

void hf_nearest_offer(struct hf_nearest *nearest, const char *known)
{
    size_t len = strlen(nearest->word);
    unsigned here;

    if (len == 0 || len > WORD_MAX || strlen(known) > WORD_MAX)
        return;
    here = distance(nearest->word, known);
    if (here > (len < 3 ? 1 : len / 3) ||
        (nearest->found && here >= nearest->distance))
        return;
    nearest->found = known;
    nearest->distance = here;
}
