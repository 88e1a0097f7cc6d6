#include "channel/findings.h"

#include <string.h>

#define NOTE    HF_FINDING_OK
#define WARNING HF_FINDING_WARNING
#define PROBLEM HF_FINDING_PROBLEM

/* In the order of docs/TROUBLES.md. Of a subject with two rows that counts
 * which has the level. */
static const struct hf_finding_kind kinds[] = {
    /* --- where the journal is ------------------------------------------- */
    {"no-directory", PROBLEM, "place", "no journal directory is found",
     "nothing can be served without one",
     "make one with `holdfast init`, or say where it is: --dir, HOLDFAST_DIR, "
     "or a file .htholdfast beside the program"},
    {"directory", PROBLEM, "directory",
     "the journal directory is missing, or its mode or owner is wrong",
     "programs refuse to start there, or cannot open what others made",
     "chmod 700 it, and let one account own it and everything in it"},
    {"read-only", PROBLEM, NULL, "the journal directory cannot be written",
     "nothing can be published, and no poll can be remembered",
     "put the journal where this account may write, and say so in "
     ".htholdfast"},
    {"files", PROBLEM, "files", "a file in it has a wrong owner or mode",
     "some program that needs it cannot open it, or strangers can",
     "do what the finding says, as the owner of the directory"},
    {"network-filesystem", PROBLEM, "filesystem",
     "the journal is on a network file system",
     "locks and shared memory do not hold between machines there, and "
     "messages get lost",
     "put the journal on a disk of this machine; if every program that uses "
     "it runs on this machine, say so as the finding tells"},
    {"no-locks", PROBLEM, "locks", "locks do not lock here",
     "two writers would damage the journal, or none could write",
     "put the journal on a local disk: ext4, xfs, btrfs, zfs, tmpfs"},
    {"disk-full", PROBLEM, "space", "the disk is full",
     "publishing is refused until there is room",
     "make room, or keep less (retain in holdfast.conf) and run `holdfast "
     "prune`"},
    {"disk-nearly-full", WARNING, "space", "the disk is nearly full",
     "when it is full, publishing is refused", "make room before"},
    {"no-inodes", WARNING, NULL, "the disk has hardly any file left to give",
     "journals, logs and sessions of the site need new files",
     "delete files (old sessions, caches, mail), or ask the host for more"},
    {"ballast", WARNING, "ballast", "the ballast is missing",
     "the disk or a quota was full", "make room; the next publish restores it"},
    {"disk-lost-writes", PROBLEM, "disk",
     "the disk has lost what was written to it",
     "nothing is published any more, for nothing can be promised",
     "see to the disk, stop everything, then `holdfast check --rescue`"},
    {"journal", PROBLEM, "journal", "the journal is damaged or not ours",
     "nothing of ours opens it",
     "put back a backup with `holdfast restore`, or save what can be read "
     "with `holdfast check --rescue`"},
    {"tables", PROBLEM, "tables", "the journal's tables were changed",
     "nothing of ours opens it",
     "undo the change; what a script needs of its own belongs in a database "
     "of its own"},
    {"journal-mode", WARNING, "mode", "the journal is not in WAL mode",
     "readers and writers wait for each other until it is",
     "nothing: the next program of ours sets it; find out what changed it"},
    {"history", WARNING, "history",
     "the journal is older than what was seen of it",
     "the next program of ours begins a new epoch, and clients start afresh",
     "nothing, if you put back a backup; else find out what changed it"},
    {"log", WARNING, "log", "the write-ahead log has grown",
     "above max_wal publishing is refused",
     "end the program that keeps a transaction open; `holdfast status` names "
     "it"},
    {"pages", PROBLEM, "pages", "the journal's file is damaged",
     "messages are lost, or nothing opens it",
     "stop everything, then `holdfast check --rescue` or `holdfast restore`"},
    {"messages", WARNING, "messages", "some messages cannot be read",
     "they are passed over: nobody gets them",
     "mend the script that wrote them; delete them as the finding says"},
    {"sqlite", WARNING, "sqlite", "this SQLite has the WAL-reset bug",
     "very rarely two writers at the same moment damage the journal",
     "update SQLite where you can, also that of your language; keep backups"},

    /* --- settings and rights -------------------------------------------- */
    {"settings", PROBLEM, "settings", "holdfast.conf cannot be read",
     "nothing starts until it can", "mend the line that is named"},
    {"keys", PROBLEM, "keys", "keys.json is missing or wrong",
     "no token is taken, or nothing starts",
     "`holdfast init` makes a new one; or mend what is named"},
    {"nobody-may-join", WARNING, "policies",
     "no policy opens a topic to visitors",
     "visitors without a token may do nothing",
     "`holdfast allow 'room:*' join,publish` opens rooms to everybody"},
    {"hooks", PROBLEM, "hooks", "the application's hooks cannot be called",
     "what your application is to decide is refused",
     "do what the finding says: libcurl, hook_secret, hook_url"},
    {"root", WARNING, "account", "this runs as root",
     "root may do everything, so this does not show what the account that "
     "serves may not",
     "run it as that account: sudo -u NAME"},
    {"socket", PROBLEM, "socket", "a socket cannot be made",
     "the web server cannot reach the program", "do what the finding says"},

    {"certificate", PROBLEM, "tls", "the side-car's certificate is of no use",
     "wss to the side-car itself does not work",
     "mend certificate, private_key or listen_tls in holdfast.conf"},

    /* --- what the host allows ------------------------------------------- */
    {"process-limit", WARNING, NULL, "the account may run only a few processes",
     "as CGI or under mod_fcgid each held poll is a process, and so is each "
     "PHP script of the site",
     "let fewer polls be held (cgi_max_held), or find a host with FastCGI or "
     "a resident gateway"},
    {"open-files", WARNING, NULL, "the account may open only a few files",
     "each held poll and each WebSocket of a resident program takes one",
     "raise the limit (ulimit -n, LimitNOFILE=), or hold fewer polls "
     "(max_held)"},
    {"memory-limit", WARNING, NULL, "the account has little memory",
     "programs end in the middle of what they do",
     "keep max_payload and max_body small; ask the host for more"},
    {"noexec", WARNING, NULL,
     "programs cannot be started from the account's own files",
     "a side-car, and a gateway of your own, cannot be started from there",
     "put programs where they may run (where CGI scripts are), or do "
     "without: long-poll needs no side-car"},
    {"no-child-process", WARNING, NULL,
     "the gateway could not have a second process look at the host",
     "the account is at its limit of processes, or the host forbids or ends "
     "them; the host's facts are not known",
     "try again when fewer visitors are there; see process-limit"},
    {"background-killed", WARNING, NULL,
     "background processes are ended by the host",
     "a side-car or a gateway of your own does not stay",
     "leave the gateway to the web server (CGI, FastCGI), and do without a "
     "side-car"},
    {"no-cron", NOTE, NULL, "there is no cron for this account",
     "nothing starts a side-car again after a reboot",
     "nothing: the gateway needs none, and starts the side-car on demand "
     "where it may"},
    {"clock", WARNING, "clock", "the clock of the host is wrong",
     "tokens expire too early or too late, messages get wrong times",
     "set the clock, or tell the host"},

    /* --- what is between the browser and the gateway -------------------- */
    {"not-reached", PROBLEM, NULL, "the gateway is not reached",
     "no page can connect",
     "see the web server's error log; compare its configuration with the "
     "recipe for it in docs/hosts"},
    {"cgi", NOTE, NULL, "each request starts a process (plain CGI)",
     "it works; few polls are held, each for a short time",
     "nothing; FastCGI, where the host has it, serves more visitors"},
    {"mod-fcgid", NOTE, NULL,
     "the web server gives each process one request (mod_fcgid)",
     "it works; few polls are held, each for a short time",
     "nothing; a gateway of your own on a socket serves more visitors"},
    {"front-end-timeout", WARNING, NULL,
     "something before the gateway ends requests too early",
     "polls are cut off, and visitors see errors in their console; clients "
     "come back, but each time with a delay",
     "hold polls for a shorter time (hold, cgi_hold), or raise the time-out "
     "of the web server"},
    {"request-limit", WARNING, NULL,
     "the host refuses requests when many are under way",
     "held polls take requests from the site: pages fail when many visitors "
     "are there",
     "let fewer polls be held: held_first, cgi_max_held, max_held"},
    {"requests-wait", WARNING, NULL,
     "requests wait for each other when many are under way",
     "held polls make the whole site wait when many visitors are there",
     "let fewer polls be held: held_first, cgi_max_held, max_held"},
    {"buffered", NOTE, NULL, "answers arrive only when they are complete",
     "nothing: long-polls end, so they come at once",
     "nothing; do not build on streams or server-sent events here"},
    {"authorization-stripped", WARNING, NULL,
     "the header Authorization does not reach the gateway",
     "programs that publish with `Authorization: Bearer` are refused",
     "Apache: CGIPassAuth On, or the RewriteRule of the recipe; clients in "
     "browsers can use authToken or access_token instead"},
    {"auth-token-stripped", WARNING, NULL,
     "the header X-Phoenix-AuthToken does not reach the gateway",
     "tokens given as authToken do not arrive, and visitors count as nobody",
     "find what takes it away (a proxy, a CDN, a firewall module); or give "
     "the token as the parameter access_token"},
    {"query-lost", PROBLEM, NULL, "the query does not reach the gateway",
     "clients cannot say which session they are",
     "mend the rewriting: QSA, or $is_args$args"},
    {"body-limit", WARNING, NULL,
     "what is sent to the gateway may not be large",
     "large messages and batches of messages are refused by the web server",
     "raise its limit (client_max_body_size, FcgidMaxRequestLen, "
     "LimitRequestBody), or send less at once"},
    {"host-changed", WARNING, NULL,
     "the gateway sees another host name than the visitor",
     "pages of the site are refused as strangers",
     "let the proxy keep the Host header, or name the site in `origins` of "
     "holdfast.conf"},
    {"scheme-hidden", WARNING, NULL,
     "the gateway does not see that the page came by https",
     "where origins are compared with their scheme the site's own pages are "
     "refused",
     "let the web server send HTTPS=on or REQUEST_SCHEME, or name the site "
     "with https:// in `origins` of holdfast.conf"},
    {"origin-refused", PROBLEM, NULL,
     "pages of this site are refused as strangers",
     "no page of the site can connect",
     "name the site in `origins` of holdfast.conf, and its host in `hosts` "
     "if that is used"},
    {"no-sidecar", NOTE, NULL, "no side-car runs",
     "there are no WebSockets; long-poll does everything they do",
     "nothing; where programs may stay, start one: see docs/SIDECAR.md"},
    {"no-upgrade", WARNING, NULL, "WebSockets do not reach the side-car",
     "clients use long-poll, which costs more requests",
     "add the lines for WebSockets of the recipe to the web server; a proxy "
     "or CDN before it must pass Upgrade, too"},
    {"upgrade-hangs", WARNING, NULL,
     "a WebSocket is neither opened nor refused",
     "clients wait before they turn to long-poll",
     "find what swallows it (a proxy, a firewall); longPollFallbackMs of "
     "stock clients bounds the wait"},
    {"clock-skew", WARNING, NULL,
     "the clocks of the host and of the visitor differ",
     "tokens count as expired, or as not yet valid",
     "set the clock that is wrong"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct hf_finding_kind *hf_finding_kind(const char *id)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].id, id) == 0)
            return &kinds[i];
    return NULL;
}

const struct hf_finding_kind *hf_finding_of(const char *subject,
                                            enum hf_finding_level level)
{
    const struct hf_finding_kind *any = NULL;

    if (level == HF_FINDING_OK)
        return NULL;
    for (size_t i = 0; i < KINDS; i++) {
        if (!kinds[i].subject || strcmp(kinds[i].subject, subject) != 0)
            continue;
        if (kinds[i].level == level)
            return &kinds[i];
        if (!any)
            any = &kinds[i];
    }
    return any;
}

const struct hf_finding_kind *hf_findings(size_t *out_count)
{
    *out_count = KINDS;
    return kinds;
}
