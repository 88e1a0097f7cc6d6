#include "base/script.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static const char answer[] =
    "Status: 403 Forbidden\r\n"
    "Cache-Control: no-store\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    "This program is not for the web. Its owner should put it where the web "
    "server\nstarts nothing.\n";

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool names_us(const char *variable)
{
    const char *script = getenv(variable);
    const char *program = (const char *)getauxval(AT_EXECFN);

    return script && program &&
           strcmp(last_part(script), last_part(program)) == 0;
}

bool hf_script_refused(void)
{
    if (!getenv("REQUEST_METHOD") ||
        !(names_us("SCRIPT_FILENAME") || names_us("SCRIPT_NAME")))
        return false;
    (void)!write(STDOUT_FILENO, answer, sizeof(answer) - 1); /* nobody to tell */
    return true;
}
