/*
 * script.h - a program that a web server takes for a script
 *
 * Who uploads programs may put them where the web server runs whatever lies
 * there, cgi-bin for instance. Only the gateway is made for that. The others
 * would do for any visitor what their owner may do: Apache makes arguments of a
 * query without "=" (RFC 3875 section 4.4).
 */
#ifndef HF_BASE_SCRIPT_H
#define HF_BASE_SCRIPT_H

#include <stdbool.h>

/*
 * First thing in main() of a program that is no script: has a web server been
 * asked for it by its address? Then that is refused, and the program is to end.
 * A script of the site may still start it: its variables name the script.
 */
bool hf_script_refused(void);

#endif
