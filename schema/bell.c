#include "schema/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define MAGIC        UINT64_C(0x31736c6c65426648) /* "HfBells1" in memory */
#define NO_SLOT      HF_BELL_SLOTS
#define MAKE_WAIT_MS 1000

/*
 * Bytes of `bells`; processes of several versions share it, so it never
 * changes without another MAGIC. OFD locks: byte n of the file for slot n, and
 * byte HF_BELL_SLOTS while the file is made.
 */
enum slot_kind { SLOT_DATAGRAM = 1, SLOT_FUTEX = 2 };

struct slot {
    _Atomic uint64_t buckets; /* that wake its owner; 0 = nobody waits */
    _Atomic uint32_t kind;    /* enum slot_kind */
    _Atomic uint32_t futex;   /* SLOT_FUTEX: the word its owner sleeps on */
    _Atomic uint32_t pid;     /* for people */
    uint32_t unused[11];
};

struct bells {
    _Atomic uint64_t magic;
    _Atomic uint64_t rung_through;
    _Atomic uint32_t used; /* slots from here on were never taken */
    uint32_t unused[11];
    struct slot slots[HF_BELL_SLOTS];
};

_Static_assert(sizeof(struct slot) == 64, "one cache line, in every version");
_Static_assert(offsetof(struct bells, slots) == 64, "the same");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");

struct hf_bell {
    struct bells *bells;
    int fd; /* the file; owns the locks */
    int dir_fd;
    int socket; /* to ring with and, once a slot is taken, to be rung */
    unsigned slot;
};

/* --- the file ------------------------------------------------------------ */

static int make_file(struct hf_bell *bell)
{
    struct stat st;
    int err;

    err = hf_lock_wait(bell->fd, HF_BELL_SLOTS, 1, hf_boot_ms() + MAKE_WAIT_MS);
    if (err)
        return HF_EIO;
    if (fstat(bell->fd, &st) < 0 ||
        (st.st_size < (off_t)sizeof(struct bells) &&
         ftruncate(bell->fd, (off_t)sizeof(struct bells)) < 0))
        err = HF_EIO;
    hf_unlock(bell->fd, HF_BELL_SLOTS, 1);
    return err;
}

static int map_file(struct hf_bell *bell)
{
    uint64_t none = 0;
    void *at = mmap(NULL, sizeof(struct bells), PROT_READ | PROT_WRITE,
                    MAP_SHARED, bell->fd, 0);

    if (at == MAP_FAILED)
        return HF_EIO;
    bell->bells = at;
    /* A new file is all zero, and that is a good one but for this. */
    if (!atomic_compare_exchange_strong(&bell->bells->magic, &none, MAGIC) &&
        none != MAGIC)
        return HF_EIO;
    return 0;
}

static int open_parts(struct hf_bell *bell, const struct hf_dir *dir)
{
    int err;

    bell->dir_fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
    if (bell->dir_fd < 0)
        return HF_EIO;
    bell->fd = hf_dir_open_file(dir, HF_FILE_BELLS);
    if (bell->fd < 0)
        return HF_EIO;
    bell->socket =
        socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bell->socket < 0)
        return HF_EIO;
    err = make_file(bell);
    if (err)
        return err;
    return map_file(bell);
}

int hf_bell_open(const struct hf_dir *dir, struct hf_bell **out)
{
    struct hf_bell *bell = calloc(1, sizeof(*bell));
    int err;

    if (!bell)
        return HF_ENOMEM;
    bell->fd = bell->dir_fd = bell->socket = -1;
    bell->slot = NO_SLOT;
    err = open_parts(bell, dir);
    if (err) {
        hf_bell_close(bell);
        return err;
    }
    *out = bell;
    return 0;
}

void hf_bell_close(struct hf_bell *bell)
{
    if (!bell)
        return;
    hf_bell_disclaim(bell);
    if (bell->bells)
        (void)munmap(bell->bells, sizeof(*bell->bells)); /* ours: cannot fail */
    hf_close(&bell->socket);
    hf_close(&bell->fd);
    hf_close(&bell->dir_fd);
    free(bell);
}

uint64_t hf_bell_bucket(struct hf_str name)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    size_t i;

    for (i = 0; i < name.len; i++) {
        hash ^= (unsigned char)name.at[i];
        hash *= UINT64_C(1099511628211);
    }
    /* The low bits of FNV alone depend on few bits of the name. */
    return UINT64_C(1) << ((hash ^ (hash >> 32)) & 63);
}

/* --- the owner of a slot ------------------------------------------------- */

/* bell.N in the directory. A socket's path may have 108 bytes, the directory's
 * more; so it goes through the descriptor. */
static struct sockaddr_un address_of(const struct hf_bell *bell, unsigned slot)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path),
                   "/proc/self/fd/%d/bell.%u", bell->dir_fd, slot);
    return address;
}

static int bind_socket(struct hf_bell *bell, unsigned slot)
{
    struct sockaddr_un address = address_of(bell, slot);
    struct stat st;

    /* What a dead owner left behind; the lock says that it is dead. */
    if (unlink(address.sun_path) < 0 && errno != ENOENT)
        return HF_EIO;
    if (bind(bell->socket, (struct sockaddr *)&address, sizeof(address)) < 0)
        return HF_EIO;
    /* The umask may have left less than a group needs, or more than we want. */
    if (fstat(bell->fd, &st) < 0 ||
        chmod(address.sun_path, st.st_mode & 0777) < 0)
        return HF_EIO;
    return 0;
}

static void count_as_used(struct bells *bells, unsigned slot)
{
    uint32_t used = atomic_load(&bells->used);

    while (used < slot + 1 &&
           !atomic_compare_exchange_weak(&bells->used, &used, slot + 1))
        continue;
}

/* The slot's lock is ours: fill it. */
static int take_slot(struct hf_bell *bell, unsigned number)
{
    struct slot *slot = &bell->bells->slots[number];

    atomic_store(&slot->buckets, 0); /* of a dead owner */
    if (bind_socket(bell, number))
        return HF_EIO;
    atomic_store(&slot->kind, SLOT_DATAGRAM);
    atomic_store(&slot->pid, (uint32_t)getpid());
    count_as_used(bell->bells, number);
    bell->slot = number;
    return 0;
}

int hf_bell_claim(struct hf_bell *bell, int *out_fd)
{
    unsigned number;
    int err = HF_EBUSY;

    if (bell->slot != NO_SLOT) {
        *out_fd = bell->socket;
        return 0;
    }
    for (number = 0; err == HF_EBUSY && number < HF_BELL_SLOTS; number++) {
        err = hf_lock_try(bell->fd, number, 1);
        if (!err)
            break;
    }
    if (err)
        return err == HF_EBUSY ? HF_ELIMIT : HF_EIO;
    err = take_slot(bell, number);
    if (err) {
        hf_unlock(bell->fd, number, 1);
        return err;
    }
    *out_fd = bell->socket;
    return 0;
}

/* A bound socket cannot be bound to another name: start afresh. */
static void replace_socket(struct hf_bell *bell)
{
    hf_close(&bell->socket);
    bell->socket =
        socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void hf_bell_disclaim(struct hf_bell *bell)
{
    struct sockaddr_un address;

    if (bell->slot == NO_SLOT)
        return;
    address = address_of(bell, bell->slot);
    atomic_store(&bell->bells->slots[bell->slot].buckets, 0);
    (void)unlink(address.sun_path); /* while the lock says that it is ours */
    hf_unlock(bell->fd, bell->slot, 1);
    bell->slot = NO_SLOT;
    replace_socket(bell);
}

void hf_bell_listen(struct hf_bell *bell, uint64_t buckets)
{
    if (bell->slot == NO_SLOT)
        return;
    atomic_store(&bell->bells->slots[bell->slot].buckets, buckets);
    /* Before the journal is read: whoever commits after that read sees the
     * mask. The other half is in hf_bell_ring. */
    atomic_thread_fence(memory_order_seq_cst);
}

void hf_bell_drain(struct hf_bell *bell)
{
    char rings[8];

    while (recv(bell->socket, rings, sizeof(rings), 0) >= 0 || errno == EINTR)
        continue;
}

/* --- ringing ------------------------------------------------------------- */

/* Nobody is there? Then take its mask down, holding the slot's lock so that
 * no new owner's mask is meant. */
static void bury(struct hf_bell *bell, unsigned number)
{
    if (hf_lock_try(bell->fd, number, 1))
        return; /* it has an owner, who is coming or going */
    atomic_store(&bell->bells->slots[number].buckets, 0);
    hf_unlock(bell->fd, number, 1);
}

static void ring_slot(struct hf_bell *bell, unsigned number)
{
    struct sockaddr_un address = address_of(bell, number);
    ssize_t sent;

    do {
        sent = sendto(bell->socket, "!", 1, MSG_NOSIGNAL,
                      (struct sockaddr *)&address, sizeof(address));
    } while (sent < 0 && errno == EINTR);
    /* EAGAIN: rings wait there already, and one is enough. */
    if (sent < 0 && (errno == ECONNREFUSED || errno == ENOENT))
        bury(bell, number);
}

void hf_bell_ring(struct hf_bell *bell, uint64_t buckets)
{
    struct bells *bells = bell->bells;
    uint32_t used, number;

    atomic_thread_fence(memory_order_seq_cst); /* after the commit */
    used = atomic_load(&bells->used);
    for (number = 0; number < used && number < HF_BELL_SLOTS; number++) {
        struct slot *slot = &bells->slots[number];

        if ((atomic_load(&slot->buckets) & buckets) == 0 ||
            number == bell->slot)
            continue;
        if (atomic_load(&slot->kind) == SLOT_DATAGRAM)
            ring_slot(bell, number);
    }
}

void hf_bell_rung(struct hf_bell *bell, uint64_t first, uint64_t last)
{
    uint64_t before = first - 1;

    (void)atomic_compare_exchange_strong(&bell->bells->rung_through, &before,
                                         last);
}

uint64_t hf_bell_rung_through(struct hf_bell *bell)
{
    return atomic_load(&bell->bells->rung_through);
}

void hf_bell_set_rung(struct hf_bell *bell, uint64_t through)
{
    atomic_store(&bell->bells->rung_through, through);
}

size_t hf_bell_owners(struct hf_bell *bell, struct hf_bell_owner *out,
                      size_t max)
{
    uint32_t used = atomic_load(&bell->bells->used);
    uint32_t number;
    size_t count = 0;

    for (number = 0; number < used && number < HF_BELL_SLOTS && count < max;
         number++) {
        struct slot *slot = &bell->bells->slots[number];

        if (number != bell->slot && !hf_locked(bell->fd, number, 1))
            continue;
        out[count].pid = (pid_t)atomic_load(&slot->pid);
        out[count].buckets = atomic_load(&slot->buckets);
        count++;
    }
    return count;
}
