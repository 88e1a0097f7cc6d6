#include "schema/bell.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys.h"
#include "schema/mapped.h"

#define MAGIC       UINT64_C(0x32736c6c65426648) /* "HfBells2" in memory */
#define SOCKET_NAME "bell.2." /* and the slot; another one per MAGIC */
#define NO_SLOT     HF_BELL_SLOTS

/*
 * Bytes of `bells`; processes of several versions share it, so their meaning
 * never changes without another MAGIC. OFD locks: byte n of the file for slot
 * n, and byte HF_BELL_SLOTS while the file is made.
 *
 * A slot's `listed` is how many `hashes` count in its lower eight bits, 0: the
 * buckets alone decide; the other bits change with every change of the hashes.
 * So a ringer that finds none of its names looks at `listed` once more, and if
 * it is not what it was, rings.
 */
enum slot_kind { SLOT_FREE = 0, SLOT_DATAGRAM = 1, SLOT_FUTEX = 2 };

struct slot {
    _Atomic uint64_t buckets; /* that wake its owner; 0 = nobody waits */
    _Atomic uint32_t kind;    /* enum slot_kind */
    _Atomic uint32_t futex;   /* SLOT_FUTEX: the word its owner sleeps on */
    _Atomic uint32_t pid;     /* for people */
    _Atomic uint32_t listed;
    _Atomic uint64_t hashes[HF_BELL_SLOT_NAMES];
};

#define LISTED_COUNT UINT32_C(0xff)
#define LISTED_STEP  UINT32_C(0x100)

struct bells {
    _Atomic uint64_t magic;
    _Atomic uint64_t rung_through;
    _Atomic uint32_t used;    /* slots from here on were never taken */
    _Atomic uint32_t watched; /* the watcher is at work, or was killed */
    uint32_t unused[10];
    struct slot slots[HF_BELL_SLOTS];
};

_Static_assert(sizeof(struct slot) == 64, "one cache line, in every version");
_Static_assert(offsetof(struct bells, slots) == 64, "the same");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");

static const struct hf_mapped_kind mapping = {
    .name = HF_FILE_BELLS,
    .magic = MAGIC,
    .size = sizeof(struct bells),
    .lock_at = HF_BELL_SLOTS,
    .replaced = "bells_replaced",
    .effect = "processes of that version hear of messages up to half a second "
              "later; restart them",
};

struct hf_bell {
    struct hf_mapped file;
    struct bells *bells; /* mapped */
    int socket; /* to ring with and, in a slot with one, to be rung; opened
                 * when first needed, else -1 */
    unsigned slot;
};

/* --- names --------------------------------------------------------------- */

uint64_t hf_bell_hash(struct hf_str name)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    size_t i;

    for (i = 0; i < name.len; i++) {
        hash ^= (unsigned char)name.at[i];
        hash *= UINT64_C(1099511628211);
    }
    return hash;
}

unsigned hf_bell_bucket(uint64_t hash)
{
    /* The low bits of FNV alone depend on few bits of the name. */
    return (unsigned)((hash ^ (hash >> 32)) & 63);
}

void hf_bell_names_add(struct hf_bell_names *names, struct hf_str name)
{
    uint64_t hash = hf_bell_hash(name);
    uint32_t i;

    names->buckets |= UINT64_C(1) << hf_bell_bucket(hash);
    for (i = 0; i < names->count; i++) {
        if (names->hashes[i] == hash)
            return;
    }
    if (names->count < HF_BELL_NAMES)
        names->hashes[names->count++] = hash;
    else
        names->more = true;
}

void hf_bell_names_all(struct hf_bell_names *names)
{
    names->buckets = UINT64_MAX;
    names->more = true;
}

/* --- the file ------------------------------------------------------------ */

int hf_bell_open(const struct hf_dir *dir, struct hf_bell **out)
{
    struct hf_bell *bell = calloc(1, sizeof(*bell));
    int err;

    if (!bell)
        return HF_ENOMEM;
    err = hf_mapped_open(dir, &mapping, &bell->file);
    if (err) {
        free(bell);
        return err;
    }
    bell->bells = bell->file.at;
    bell->socket = -1;
    bell->slot = NO_SLOT;
    *out = bell;
    return 0;
}

void hf_bell_close(struct hf_bell *bell)
{
    if (!bell)
        return;
    hf_bell_disclaim(bell);
    hf_close(&bell->socket);
    hf_mapped_close(&bell->file);
    free(bell);
}

/* --- the owner of a slot ------------------------------------------------- */

/* In the directory. A socket's path may have 108 bytes, the directory's
 * more; so it goes through the descriptor. */
static struct sockaddr_un address_of(const struct hf_bell *bell, unsigned slot)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path),
                   "/proc/self/fd/%d/" SOCKET_NAME "%u", bell->file.dir_fd,
                   slot);
    return address;
}

static bool has_socket(struct hf_bell *bell)
{
    if (bell->socket < 0)
        bell->socket =
            socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return bell->socket >= 0;
}

static int bind_socket(struct hf_bell *bell, unsigned slot)
{
    struct sockaddr_un address = address_of(bell, slot);
    struct stat st;

    /* What a dead owner left behind; the lock says that it is dead. */
    if (!has_socket(bell) || (unlink(address.sun_path) < 0 && errno != ENOENT))
        return HF_EIO;
    if (bind(bell->socket, (struct sockaddr *)&address, sizeof(address)) < 0)
        return HF_EIO;
    /* The umask may have left less than a group needs, or more than we want. */
    if (fstat(bell->file.fd, &st) == 0 &&
        chmod(address.sun_path, st.st_mode & 0777) == 0)
        return 0;
    (void)unlink(address.sun_path);
    hf_close(&bell->socket); /* it cannot get another name */
    return HF_EIO;
}

static void count_as_used(struct bells *bells, unsigned slot)
{
    uint32_t used = atomic_load(&bells->used);

    while (used < slot + 1 &&
           !atomic_compare_exchange_weak(&bells->used, &used, slot + 1))
        continue;
}

/* A free slot, emptied, its lock ours; *out is its number. */
static int lock_slot(struct hf_bell *bell, unsigned *out)
{
    int err = HF_EBUSY;
    unsigned number;

    for (number = 0; number < HF_BELL_SLOTS; number++) {
        err = hf_lock_try(bell->file.fd, number, 1);
        if (err != HF_EBUSY)
            break;
    }
    if (err)
        return err == HF_EBUSY ? HF_ELIMIT : HF_EIO;
    atomic_store(&bell->bells->slots[number].buckets, 0); /* of a dead owner */
    *out = number;
    return 0;
}

static void own_slot(struct hf_bell *bell, unsigned number, enum slot_kind kind)
{
    struct slot *slot = &bell->bells->slots[number];

    atomic_store(&slot->kind, kind);
    atomic_store(&slot->pid, (uint32_t)getpid());
    count_as_used(bell->bells, number);
    bell->slot = number;
}

int hf_bell_claim(struct hf_bell *bell, int *out_fd)
{
    unsigned number;
    int err;

    assert(bell->slot == NO_SLOT);
    err = lock_slot(bell, &number);
    if (err)
        return err;
    err = bind_socket(bell, number);
    if (err) {
        hf_unlock(bell->file.fd, number, 1);
        return err;
    }
    own_slot(bell, number, SLOT_DATAGRAM);
    *out_fd = bell->socket;
    return 0;
}

int hf_bell_claim_word(struct hf_bell *bell, _Atomic uint32_t **out_word)
{
    struct sockaddr_un address;
    unsigned number;
    int err;

    assert(bell->slot == NO_SLOT);
    err = lock_slot(bell, &number);
    if (err)
        return err;
    if (atomic_load(&bell->bells->slots[number].kind) == SLOT_DATAGRAM) {
        address = address_of(bell, number);
        (void)unlink(address.sun_path); /* a killed owner left it */
    }
    own_slot(bell, number, SLOT_FUTEX);
    *out_word = &bell->bells->slots[number].futex;
    return 0;
}

int hf_bell_use_socket(struct hf_bell *bell, int *out_fd)
{
    int err;

    assert(bell->slot != NO_SLOT);
    err = bind_socket(bell, bell->slot);
    if (err)
        return err;
    atomic_store(&bell->bells->slots[bell->slot].kind, SLOT_DATAGRAM);
    *out_fd = bell->socket;
    return 0;
}

void hf_bell_disclaim(struct hf_bell *bell)
{
    struct sockaddr_un address;
    struct slot *slot;

    if (bell->slot == NO_SLOT)
        return;
    slot = &bell->bells->slots[bell->slot];
    atomic_store(&slot->buckets, 0);
    if (atomic_load(&slot->kind) == SLOT_DATAGRAM) {
        address = address_of(bell, bell->slot);
        (void)unlink(address.sun_path); /* the lock says that it is ours */
        hf_close(&bell->socket);        /* it cannot get another name */
        atomic_store(&slot->kind, SLOT_FREE);
    }
    hf_unlock(bell->file.fd, bell->slot, 1);
    bell->slot = NO_SLOT;
}

unsigned hf_bell_slot(const struct hf_bell *bell)
{
    return bell->slot;
}

void hf_bell_listen(struct hf_bell *bell, const struct hf_bell_names *names)
{
    bool exact = !names->more && names->count <= HF_BELL_SLOT_NAMES;
    struct slot *slot;
    uint32_t listed, i;

    if (bell->slot == NO_SLOT)
        return;
    slot = &bell->bells->slots[bell->slot];
    /* A name of the former set and of this one must ring at every moment: the
     * buckets, which both sets have, decide while the hashes are written. */
    listed = (atomic_load(&slot->listed) & ~LISTED_COUNT) + LISTED_STEP;
#ifndef HF_BROKEN_TORN_NAMES
    atomic_store(&slot->listed, listed);
#else
    listed -= 2 * LISTED_STEP; /* hashes that change under a ringer's eyes */
#endif
    for (i = 0; exact && i < names->count; i++)
        atomic_store(&slot->hashes[i], names->hashes[i]);
    atomic_store(&slot->buckets, names->buckets);
    atomic_store(&slot->listed,
                 listed + LISTED_STEP + (exact ? names->count : 0));
    /* Before the journal is read: whoever commits after that read sees the
     * names. The other half is in hf_bell_ring. */
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
    if (hf_lock_try(bell->file.fd, number, 1))
        return; /* it has an owner, who is coming or going */
    atomic_store(&bell->bells->slots[number].buckets, 0);
    hf_unlock(bell->file.fd, number, 1);
}

static void ring_socket(struct hf_bell *bell, unsigned number)
{
    struct sockaddr_un address = address_of(bell, number);
    ssize_t sent;

    if (!has_socket(bell))
        return; /* out of descriptors: heard at the backstop */
    do {
        sent = sendto(bell->socket, "!", 1, MSG_NOSIGNAL,
                      (struct sockaddr *)&address, sizeof(address));
    } while (sent < 0 && errno == EINTR);
    /* EAGAIN: rings wait there already, and one is enough. */
    if (sent < 0 && (errno == ECONNREFUSED || errno == ENOENT))
        bury(bell, number);
}

static void ring_word(struct hf_bell *bell, unsigned number)
{
    _Atomic uint32_t *word = &bell->bells->slots[number].futex;

    atomic_fetch_add(word, 1);
    /* Nobody sleeps there: at work, and will see the word, or dead. */
    if (syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
        bury(bell, number);
}

static void ring_slot(struct hf_bell *bell, unsigned number)
{
    switch ((enum slot_kind)atomic_load(&bell->bells->slots[number].kind)) {
    case SLOT_FREE:
        break;
    case SLOT_DATAGRAM:
        ring_socket(bell, number);
        break;
    case SLOT_FUTEX:
        ring_word(bell, number);
        break;
    }
}

static bool has_hash(const struct hf_bell_names *names, uint64_t hash)
{
    uint32_t i;

    for (i = 0; i < names->count; i++) {
        if (names->hashes[i] == hash)
            return true;
    }
    return false;
}

static bool listens(struct slot *slot, const struct hf_bell_names *names)
{
    uint32_t listed, count, i;

    if ((atomic_load(&slot->buckets) & names->buckets) == 0)
        return false;
    listed = atomic_load(&slot->listed);
    count = listed & LISTED_COUNT;
    if (names->more || count == 0 || count > HF_BELL_SLOT_NAMES)
        return true;
    for (i = 0; i < count; i++) {
        if (has_hash(names, atomic_load(&slot->hashes[i])))
            return true;
    }
    return atomic_load(&slot->listed) != listed; /* changed as we read */
}

static uint32_t slots_used(const struct hf_bell *bell)
{
    uint32_t used = atomic_load(&bell->bells->used);

    return used < HF_BELL_SLOTS ? used : HF_BELL_SLOTS;
}

void hf_bell_ring(struct hf_bell *bell, const struct hf_bell_names *names)
{
    uint32_t used, number;

    atomic_thread_fence(memory_order_seq_cst); /* after the commit */
    used = slots_used(bell);
    for (number = 0; number < used; number++) {
        if (number != bell->slot && listens(&bell->bells->slots[number], names))
            ring_slot(bell, number);
    }
}

/* An owner that listens to nothing is about to leave. */
static bool ring_one_of(struct hf_bell *bell, enum slot_kind kind)
{
    uint32_t used = slots_used(bell);
    uint32_t number;

    for (number = 0; number < used; number++) {
        struct slot *slot = &bell->bells->slots[number];

        if (number == bell->slot || atomic_load(&slot->kind) != kind ||
            atomic_load(&slot->buckets) == 0 ||
            !hf_locked(bell->file.fd, number, 1))
            continue;
        ring_slot(bell, number);
        return true;
    }
    return false;
}

bool hf_bell_alone(struct hf_bell *bell)
{
    uint32_t used, number;

    atomic_thread_fence(memory_order_seq_cst); /* as in hf_bell_ring */
    used = slots_used(bell);
    for (number = 0; number < used; number++) {
        if (number != bell->slot &&
            atomic_load(&bell->bells->slots[number].buckets) != 0)
            return false;
    }
    return true;
}

bool hf_bell_ring_one(struct hf_bell *bell)
{
    return ring_one_of(bell, SLOT_DATAGRAM) || ring_one_of(bell, SLOT_FUTEX);
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

bool hf_bell_watched(struct hf_bell *bell)
{
    return atomic_load(&bell->bells->watched) != 0;
}

void hf_bell_set_watched(struct hf_bell *bell, bool watched)
{
    atomic_store(&bell->bells->watched, watched);
}

size_t hf_bell_owners(struct hf_bell *bell, struct hf_bell_owner *out,
                      size_t max)
{
    uint32_t used = slots_used(bell);
    uint32_t number;
    size_t count = 0;

    for (number = 0; number < used && count < max; number++) {
        struct slot *slot = &bell->bells->slots[number];

        if (number != bell->slot && !hf_locked(bell->file.fd, number, 1))
            continue;
        out[count].pid = (pid_t)atomic_load(&slot->pid);
        out[count].buckets = atomic_load(&slot->buckets);
        count++;
    }
    return count;
}
