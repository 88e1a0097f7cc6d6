/*
 * heap.c - how much of its heap a process has in use, for others to see
 *
 * Built by bench/idle_ws.js into a library for LD_PRELOAD. Every piece that
 * malloc and its like give out is counted with malloc's own eight bytes, until
 * it is freed, in the file that HEAP_FILE names: two numbers of 64 bits, bytes
 * and pieces, all processes that inherit it together.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct counts {
    _Atomic int64_t bytes, pieces;
};

/* glibc's own, below those that are replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *piece, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *piece);

static struct counts nowhere;
static struct counts *counts = &nowhere;

__attribute__((constructor)) static void open_counts(void)
{
    const char *name = getenv("HEAP_FILE");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED,
              fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED)
        return;
    counts = at;
    atomic_fetch_add(&counts->bytes, nowhere.bytes);
    atomic_fetch_add(&counts->pieces, nowhere.pieces);
}

static void count(void *piece, int sign)
{
    if (!piece)
        return;
    atomic_fetch_add_explicit(&counts->bytes,
                              sign * (int64_t)(malloc_usable_size(piece) + 8),
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->pieces, sign, memory_order_relaxed);
}

static void *counted(void *piece)
{
    count(piece, 1);
    return piece;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t number, size_t size)
{
    return counted(__libc_calloc(number, size));
}

void *realloc(void *piece, size_t size)
{
    void *moved;

    count(piece, -1);
    moved = __libc_realloc(piece, size);
    if (!moved && size > 0)
        count(piece, 1);
    return counted(moved);
}

void *memalign(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *piece = memalign(alignment, size);

    if (!piece)
        return ENOMEM;
    *out = piece;
    return 0;
}

void free(void *piece)
{
    count(piece, -1);
    __libc_free(piece);
}
