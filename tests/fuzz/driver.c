/*
 * driver.c - runs a fuzz target where there is no libFuzzer
 *
 *     fuzz_json FILE-OR-FOLDER...                       each file once
 *     fuzz_json -runs=N [-seed=S] FILE-OR-FOLDER...     and N mutations of them
 *
 * The same seed and files give the same inputs. When the target dies, the
 * input it died of is written to ./crash-input.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES 4096u /* bytes; longer files are cut */
#define MAX_FILES 2000u

struct input {
    size_t len;
    uint8_t bytes[MAX_BYTES];
};

static struct input *corpus[MAX_FILES];
static size_t corpus_count;

/* --- when the target dies ------------------------------------------------ */

/* In memory of exactly its size, so that a sanitizer sees a read past it. */
static uint8_t *current;
static size_t current_len;

static void save_input(void)
{
    int fd =
        open("crash-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, current, current_len) != (ssize_t)current_len)
        return;
    (void)close(fd);
    (void)!write(STDERR_FILENO, "the input is in ./crash-input\n", 30);
}

static void on_abort(int signal)
{
    save_input();
    (void)raise(signal); /* the handler was for one time only */
}

/* Sanitizers end the process by themselves, but call this before. */
void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

static void watch_for_death(void)
{
    struct sigaction action = {.sa_handler = on_abort,
                               .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGABRT, &action, NULL);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(save_input);
}

static void run(const struct input *input)
{
    current = malloc(input->len ? input->len : 1);
    if (!current)
        abort();
    memcpy(current, input->bytes, input->len);
    current_len = input->len;
    (void)LLVMFuzzerTestOneInput(current, current_len);
    free(current);
    current = NULL;
    current_len = 0;
}

/* --- corpus -------------------------------------------------------------- */

static void fail(const char *what, const char *name)
{
    (void)fprintf(stderr, "%s: %s\n", name, what);
    exit(2);
}

static void load_file(const char *name)
{
    struct input *input = calloc(1, sizeof(*input));
    FILE *file = fopen(name, "rb");

    if (!input || !file)
        fail("cannot be read", name);
    if (corpus_count == MAX_FILES)
        fail("too many files", name);
    input->len = fread(input->bytes, 1, sizeof(input->bytes), file);
    (void)fclose(file);
    corpus[corpus_count++] = input;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In order of name, so that a seed means the same everywhere. */
static void load_folder(const char *name)
{
    struct dirent **entries;
    int count = scandir(name, &entries, is_visible, alphasort);
    int i;

    if (count < 0)
        fail("cannot be listed", name);
    for (i = 0; i < count; i++) {
        char path[4096];

        (void)snprintf(path, sizeof(path), "%s/%s", name, entries[i]->d_name);
        load_file(path);
        free(entries[i]);
    }
    free(entries);
}

static void load(const char *name)
{
    struct stat info;

    if (stat(name, &info) == 0 && S_ISDIR(info.st_mode))
        load_folder(name);
    else
        load_file(name);
}

static void release_corpus(void)
{
    while (corpus_count > 0)
        free(corpus[--corpus_count]);
}

/* --- mutation ------------------------------------------------------------ */

static uint64_t random_state;

/* splitmix64: short, and good enough to pick bytes with. */
static uint64_t random_bits(void)
{
    uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static size_t below(size_t n)
{
    return n > 0 ? (size_t)(random_bits() % n) : 0;
}

/* Make a gap of len bytes at `at`, as far as there is room; its length. */
static size_t open_gap(struct input *input, size_t at, size_t len)
{
    assert(at <= input->len && input->len <= MAX_BYTES);
    if (len > MAX_BYTES - input->len)
        len = MAX_BYTES - input->len;
    memmove(input->bytes + at + len, input->bytes + at, input->len - at);
    input->len += len;
    return len;
}

static void insert_byte(struct input *input)
{
    size_t at = below(input->len + 1);

    if (open_gap(input, at, 1) == 1)
        input->bytes[at] = (uint8_t)random_bits();
}

static void remove_range(struct input *input)
{
    size_t at = below(input->len);
    size_t len = 1 + below(below(8) ? 4 : 64);

    if (len > input->len - at)
        len = input->len - at;
    memmove(input->bytes + at, input->bytes + at + len, input->len - at - len);
    input->len -= len;
}

/* A piece of some input of the corpus, perhaps this one, at any place: how
 * words and brackets get where they were not. */
static void insert_piece(struct input *input)
{
    const struct input *other = corpus[below(corpus_count)];
    size_t from = below(other->len);
    size_t len = 1 + below(below(4) ? 8 : 200);
    size_t at = below(input->len + 1);

    if (len > other->len - from)
        len = other->len - from;
    len = open_gap(input, at, len);
    memcpy(input->bytes + at, other->bytes + from, len);
}

static void repeat_range(struct input *input)
{
    static uint8_t copy[64];
    size_t from = below(input->len);
    size_t len = 1 + below(sizeof(copy));

    if (len > input->len - from)
        len = input->len - from;
    memcpy(copy, input->bytes + from, len);
    len = open_gap(input, from, len);
    memcpy(input->bytes + from, copy, len);
}

static void mutate(struct input *input)
{
    static const uint8_t edges[] = {0x00, 0x1f, 0x20, 0x22, 0x5c, 0x7f,
                                    0x80, 0xbf, 0xc0, 0xed, 0xf4, 0xff};
    size_t at = below(input->len);

    if (input->len == 0) {
        insert_piece(input);
        return;
    }
    switch (below(8)) {
    case 0:
        input->bytes[at] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        input->bytes[at] = (uint8_t)random_bits();
        break;
    case 2:
        input->bytes[at] = edges[below(sizeof(edges))];
        break;
    case 3:
        insert_byte(input);
        break;
    case 4:
        remove_range(input);
        break;
    case 5:
        repeat_range(input);
        break;
    default: /* twice as often: it finds the most */
        insert_piece(input);
        break;
    }
}

static void run_mutations(unsigned long runs)
{
    static struct input input;
    unsigned long i;

    for (i = 0; i < runs; i++) {
        size_t changes = below(2) ? 1 : 1 + below(5); /* few: most stay near */

        input = *corpus[below(corpus_count)];
        while (changes-- > 0)
            mutate(&input);
        run(&input);
    }
}

int main(int argc, char **argv)
{
    static struct input empty;
    unsigned long runs = 0, seed = 1;
    size_t i;
    int arg;

    for (arg = 1; arg < argc; arg++) {
        if (strncmp(argv[arg], "-runs=", 6) == 0)
            runs = strtoul(argv[arg] + 6, NULL, 10);
        else if (strncmp(argv[arg], "-seed=", 6) == 0)
            seed = strtoul(argv[arg] + 6, NULL, 10);
        else if (argv[arg][0] == '-')
            fail("usage: [-runs=N] [-seed=S] FILE-OR-FOLDER...", argv[0]);
        else
            load(argv[arg]);
    }
    if (corpus_count == 0)
        fail("no corpus: name files or folders", argv[0]);

    watch_for_death();
    run(&empty);
    for (i = 0; i < corpus_count; i++)
        run(corpus[i]);
    random_state = seed;
    run_mutations(runs);
    (void)printf("%zu files, %lu mutations, seed %lu: all well\n", corpus_count,
                 runs, seed);
    release_corpus();
    return 0;
}
