#include "gateway/signals.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"

static void signalled(struct hf_watch *watch, uint32_t events)
{
    struct hf_signals *signals = HF_ITEM(watch, struct hf_signals, watch);
    struct signalfd_siginfo info;

    (void)events;
    if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
        return;
    HF_LOG(HF_LOG_INFO, "leaving", hf_field_i("signal", info.ssi_signo));
    signals->asked_to_leave(signals);
}

int hf_signals_take(struct hf_signals *signals, struct hf_loop *loop)
{
    sigset_t set;
    int err;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGUSR1);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* like a full disk (space.h) */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return HF_EIO;
    signals->watch.ready = signalled;
    /* Plain CGI waits for its bell alone, and looks twice a second. */
    signals->watch.patient = true;
    signals->watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->watch.fd < 0)
        return HF_EIO;
    err = hf_loop_watch(loop, &signals->watch, EPOLLIN);
    if (err)
        hf_close(&signals->watch.fd);
    else
        signals->loop = loop;
    return err;
}

void hf_signals_release(struct hf_signals *signals)
{
    if (!signals->loop)
        return;
    hf_loop_unwatch(signals->loop, &signals->watch);
    hf_close(&signals->watch.fd);
    signals->loop = NULL;
}
