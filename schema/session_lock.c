#include "schema/session_lock.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/sys.h"

/* How often those who wait for another process look. */
#define LOOK_MS 10

struct hf_session_locks {
    struct hf_loop *loop;
    int fd;
    struct hf_list held, waiting;
    struct hf_timer look;
};

/* 62 bits of the id, which is random: nobody can choose one that collides. */
static int64_t place_of(struct hf_str session)
{
    unsigned char digest[HF_SHA256_LEN];
    uint64_t at = 0;
    size_t i;

    hf_sha256(session, digest);
    for (i = 0; i < 8; i++)
        at = at << 8 | digest[i];
    return (int64_t)(at >> 2);
}

static bool in_list(const struct hf_list *list, int64_t at,
                    const struct hf_list *end)
{
    struct hf_list *node;

    for (node = list->next; node != list && node != end; node = node->next)
        if (HF_ITEM(node, struct hf_session_lock, node)->at == at)
            return true;
    return false;
}

/* 0, HF_EBUSY, HF_EIO. */
static int try_it(struct hf_session_locks *locks, struct hf_session_lock *lock)
{
    int err;

    if (in_list(&locks->held, lock->at, NULL) ||
        in_list(&locks->waiting, lock->at, &lock->node))
        return HF_EBUSY;
    err = hf_lock_try(locks->fd, lock->at, 1);
    if (err)
        return err;
    hf_list_remove(&lock->node);
    hf_list_append(&locks->held, &lock->node);
    lock->held = true;
    return 0;
}

static void give_up(struct hf_session_lock *lock, int err)
{
    hf_list_remove(&lock->node);
    lock->owner = NULL;
    lock->taken(lock, err);
}

/* The first whose turn has come or is over; false: there is none. A callback
 * may change the list, so one at a time. */
static bool settle_one(struct hf_session_locks *locks)
{
    int64_t now = hf_boot_ms();
    struct hf_list *node, *tmp;

    HF_LIST_EACH(node, tmp, &locks->waiting)
    {
        struct hf_session_lock *lock =
            HF_ITEM(node, struct hf_session_lock, node);
        int err = try_it(locks, lock);

        if (err == HF_EBUSY && now < lock->deadline_ms)
            continue;
        if (err)
            give_up(lock, err);
        else
            lock->taken(lock, 0);
        return true;
    }
    return false;
}

static void on_look(struct hf_timer *timer)
{
    struct hf_session_locks *locks =
        HF_ITEM(timer, struct hf_session_locks, look);

    while (settle_one(locks))
        continue;
    /* its place was made when it was armed first */
    if (!hf_list_empty(&locks->waiting))
        (void)hf_loop_arm(locks->loop, &locks->look, LOOK_MS * 1000);
}

int hf_session_lock_take(struct hf_session_locks *locks,
                         struct hf_session_lock *lock, struct hf_str session,
                         int64_t wait_ms)
{
    int err;

#ifdef HF_BROKEN_NO_POST_TURN
    return 0; /* for tests: nobody waits for anybody */
#endif
    lock->owner = locks;
    lock->at = place_of(session);
    lock->deadline_ms = hf_boot_ms() + wait_ms;
    lock->held = false;
    hf_list_append(&locks->waiting, &lock->node);
    err = try_it(locks, lock);
    if (err == HF_EBUSY && !hf_timer_armed(&locks->look) &&
        hf_loop_arm(locks->loop, &locks->look, LOOK_MS * 1000))
        err = HF_EIO; /* no memory: nobody would look */
    if (err == HF_EBUSY)
        return HF_EAGAIN;
    if (err) {
        hf_list_remove(&lock->node);
        lock->owner = NULL;
    }
    return err;
}

void hf_session_lock_drop(struct hf_session_lock *lock)
{
    struct hf_session_locks *locks = lock->owner;

    if (!locks)
        return;
    hf_list_remove(&lock->node);
    lock->owner = NULL;
    if (!lock->held)
        return;
    hf_unlock(locks->fd, lock->at, 1);
    if (in_list(&locks->waiting, lock->at, NULL)) /* its turn is next */
        (void)hf_loop_arm(locks->loop, &locks->look, 0);
}

int hf_session_locks_open(struct hf_loop *loop, const struct hf_dir *dir,
                          struct hf_session_locks **out)
{
    struct hf_session_locks *locks = calloc(1, sizeof(*locks));

    if (!locks)
        return HF_ENOMEM;
    locks->fd = hf_dir_open_file(dir, HF_FILE_POSTS);
    if (locks->fd < 0) {
        free(locks);
        return HF_EIO;
    }
    locks->loop = loop;
    locks->look.fire = on_look;
    hf_list_init(&locks->held);
    hf_list_init(&locks->waiting);
    *out = locks;
    return 0;
}

void hf_session_locks_close(struct hf_session_locks *locks)
{
    struct hf_list *node;

    if (!locks)
        return;
    while ((node = hf_list_first(&locks->waiting)) != NULL)
        give_up(HF_ITEM(node, struct hf_session_lock, node), HF_EBUSY);
    hf_loop_disarm(locks->loop, &locks->look);
    hf_close(&locks->fd);
    free(locks);
}
