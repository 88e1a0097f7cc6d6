/*
 * limits.h - every number of the side-car, with its unit and its reason
 *
 * What an operator may want to change is a setting (schema/settings.h).
 */
#ifndef HF_SIDECAR_LIMITS_H
#define HF_SIDECAR_LIMITS_H

/* --- one socket ---------------------------------------------------------- */

/* Bytes read from one socket in one turn, at most; one buffer serves all of
 * them. What is not the rest of a long frame is read in small helpings: it may
 * be hundreds of messages, and others are waiting. */
#define HF_READ_BYTES   (64u * 1024u)
#define HF_READ_HELPING (4u * 1024u)

/* What one socket may send in a second, beside twice `push_rate`: so many
 * frames; and 16 KiB count as one more. Who sends more is not refused: it is
 * not read from for a second, and TCP holds it up. A client that comes back
 * joins its topics and repeats its pushes with less. */
#define HF_READ_FRAMES      500u
#define HF_READ_FRAMES_MOST 50000u /* what is allowed more is not counted */
#define HF_READ_FRAME       (16u * 1024u)
#define HF_READ_PAUSE_MS    1000
#define HF_READ_RESUME_MS   50 /* how often it is looked whether that is over */

/* Fragments of one message: a message of the default `max_frame` in pieces of
 * 64 bytes. Empty ones cost the peer little and would never come to an end. */
#define HF_FRAGMENTS 4096u

/* Records of TLS read from one socket in one turn: each is a call of its own,
 * however little is in it. */
#define HF_TLS_RECORDS 32u

/* Messages and their bytes written to one socket in one turn. Four frames in a
 * writev go out 3 times as fast as one by one; more gain little. */
#define HF_WRITE_BATCH 32u
#define HF_WRITE_BYTES (64u * 1024u)

/* Pongs that wait beside them. When more are due only the latest counts (RFC
 * 6455 section 5.5.3). */
#define HF_WRITE_PONGS 8u

/* The kernel's send buffer, bytes. Left to itself it takes megabytes for a
 * client that does not read, where no process sees them. */
#define HF_SEND_BUFFER (64 * 1024)

/* A socket that takes nothing for so long, ms, has no reader. */
#define HF_STUCK_MS 30000

/* From our goodbye to the end of the connection, ms, whatever the peer does. */
#define HF_CLOSING_MS 5000

/* --- leaving ------------------------------------------------------------- */

/* How often some are told, ms. */
#define HF_DRAIN_STEP_MS 20

/* Sockets told per second, at least: a few hundred that return at once harm
 * nobody, and a restart is not to take longer than needed. */
#define HF_DRAIN_RATE 500

/* What a successor may need to start, ms, before the first one returns; and over
 * how long the returns are spread at least. */
#define HF_SUCCESSOR_MS    1000
#define HF_RETURN_LEAST_MS 1000

/* Handshakes under way when we begin to leave have so long, ms. */
#define HF_LEAVE_HANDSHAKES_MS 1000

/* What the kernel has not got rid of for so long, ms, because the line was cut or
 * nothing is read, it gives up, after we closed too; left to itself it tries
 * for many minutes. More than the two above, so that our own word comes first. */
#define HF_GONE_MS 45000

/* --- all sockets of a worker --------------------------------------------- */

/* Bytes of unfinished messages, all sockets together. Beyond it the socket that
 * has been at it longest is closed with 1013: whoever means well needs
 * milliseconds for a message. */
#define HF_PARTIAL_BYTES (64u * 1024u * 1024u)

/* Sockets written to in one turn, and the time for it, us, looked at after every
 * HF_WRITE_LOOK of them; the others wait for the next, so that accepting and
 * heartbeats go on while a broadcast reaches ten thousand. */
#define HF_WRITE_SOCKETS 1000u
#define HF_WRITE_US      5000
#define HF_WRITE_LOOK    16u

/* How often deadlines are looked at, ms; where `lease` is below 12 s, every
 * twelfth of it. Also the longest time libmicrohttpd goes without a run. */
#define HF_TICK_MS 1000

/* The heap is asked how much of it is in use every so many ticks. */
#define HF_HEAP_TICKS 5u

/* --- handshakes ---------------------------------------------------------- */

/* Handshakes under way at once; further clients wait in the backlog. */
#define HF_HANDSHAKES 1000u

/* Bytes for the header of a request: long tokens and cookies. Freed with the
 * handshake. */
#define HF_HANDSHAKE_BYTES (16u * 1024u)

/* Where that many are under way, one that has not asked for anything after so
 * long, ms, gives way. */
#define HF_HANDSHAKE_PRESSED_MS 500

/* Whom we have no room for is asked to come back after so many seconds. */
#define HF_RETRY_S 5u

/* Of these so many for one address: half a dozen hostile machines leave room. A
 * crowd behind one address takes its turn, a handshake is milliseconds. */
#define HF_ADDRESS_HANDSHAKES 125u

/* Addresses remembered for how often they came, though they have no connection
 * now. */
#define HF_ADDRESSES_AWAY 4096u

/* The send buffer of the pair through which a request reaches libmicrohttpd once
 * TLS is off, bytes; the kernel doubles it. Twice this, a record and the bytes of
 * a header are at most HF_READ_BYTES. */
#define HF_RELAY_BUFFER (8 * 1024)

/* A certificate that expires within so many days is warned of when it is read:
 * what renews it should have done so by then. */
#define HF_CERTIFICATE_WARN_DAYS 14

/* Connections accepted in one turn. */
#define HF_ACCEPT_BATCH 64u

/* Descriptors that are not for clients: databases, the loop, the doorbell; and
 * handshakes that will be answered 503 once the sockets are used up. */
#define HF_SPARE_FDS 200u

/* Clients waiting to be accepted; the kernel may cut it (net.core.somaxconn). */
#define HF_BACKLOG 4096

/* --- the monitor's address ----------------------------------------------- */

/* Who asks at once; one more takes the place of the oldest. */
#define HF_MONITOR_CALLERS 16u

/* From connecting to the answer, ms: the whole connection. */
#define HF_MONITOR_MS 5000

/* Bytes for the header of a request. */
#define HF_MONITOR_BYTES (8u * 1024u)

/* --- the parent ---------------------------------------------------------- */

/* A worker that died is replaced at once, and again after so long, ms, doubled
 * each time up to the longest, if it keeps dying young. */
#define HF_RESTART_MS         100
#define HF_RESTART_LONGEST_MS 5000
#define HF_WORKER_YOUNG_MS    10000

/* From the end of `drain` until a worker that has not ended is told to hurry, ms.
 * More than HF_CLOSING_MS and the writer's longest wait for the lock (the
 * default of `busy`) together. */
#define HF_WORKER_STOP_MS 15000

/* A second SIGTERM so soon after the first, ms, is the same one: some tools send
 * it to a process and to its group. */
#define HF_TOLD_TWICE_MS 200

/* How often the parent looks at what tend.h says, ms; where nothing depends on
 * it; and until all workers serve, when somebody waits for that. */
#define HF_TEND_MS       1000
#define HF_TEND_REST_MS  (3600 * 1000)
#define HF_TEND_START_MS 10

/* Bytes of the log in the directory; then it is begun anew. One older is kept. */
#define HF_TEND_LOG_BYTES (1024 * 1024)

/* How long to wait for who is starting another side-car, ms: it finds that we
 * run, or is milliseconds later done. */
#define HF_TEND_LOCK_MS 2000

/* From then until it is killed, ms: time for the writer alone. */
#define HF_WORKER_QUIT_MS 7000

#endif
