#include "base/standalone.h"

#include <stddef.h>

#ifdef HF_STANDALONE

#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __GLIBC__ /* others load no library for a name */
#include <nss.h>
#endif

void hf_standalone_begin(void)
{
#ifdef __GLIBC__
    /* fail for want of memory only, and then the files are asked first anyway */
    (void)__nss_configure_lookup("passwd", "files");
    (void)__nss_configure_lookup("group", "files");
    (void)__nss_configure_lookup("hosts", "files dns");
#endif
}

void hf_standalone_openssl(void)
{
    /* if this fails, so does the first call of those that need it */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

const char *hf_standalone_authorities(void)
{
    static const char *const known[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Red Hat 7 on */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* before */
        "/etc/ssl/ca-bundle.pem",                            /* SUSE */
        "/etc/ssl/cert.pem",                                 /* Alpine */
    };
    const char *said = getenv("SSL_CERT_FILE");
    size_t i;

    if (said && *said)
        return said;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (access(known[i], R_OK) == 0)
            return known[i];
    }
    return NULL;
}

#else

void hf_standalone_begin(void)
{
}

void hf_standalone_openssl(void)
{
}

const char *hf_standalone_authorities(void)
{
    return NULL;
}

#endif
