/*
 * standalone.h - programs that need nothing of the host (configure
 * --enable-standalone)
 *
 * The C library asks /etc/nsswitch.conf where accounts and names of hosts are
 * looked up, and loads a shared library for each word that it finds there. In a
 * static program that would be the library of another C library, of whatever
 * version the host has. So a standalone program asks the files in /etc and,
 * for hosts, DNS; accounts that are in neither, of LDAP for instance, have no
 * name and no home for it. Nor does it read the openssl.cnf of the host, which
 * may name modules of another version.
 *
 * In other programs these do nothing.
 */
#ifndef HF_BASE_STANDALONE_H
#define HF_BASE_STANDALONE_H

/* First thing in main(). */
void hf_standalone_begin(void);

/* Before OpenSSL is used by others than libcurl. Costs nothing later on. */
void hf_standalone_openssl(void);

/*
 * The file with the certificates of the authorities that this host believes, as
 * the distributions name it, or what SSL_CERT_FILE says. NULL: there is none,
 * or the library knows by itself, as it does in programs not standalone.
 */
const char *hf_standalone_authorities(void);

#endif
