/*
 * tls_fixture.h - certificates made on the spot, and a TLS client in this process
 */
#ifndef HF_TESTS_TLS_FIXTURE_H
#define HF_TESTS_TLS_FIXTURE_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A directory with cert.pem and key.pem, and room for others. */
struct tls_files {
    char dir[64];
    char certificate[96];
    char private_key[96];
};

/* Write a self-signed certificate for `name` and its key. With a passphrase the
 * key is encrypted. */
static inline void tls_write_pair(const char *certificate,
                                  const char *private_key, const char *name,
                                  long days, const char *passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *subject;
    FILE *file;

    assert_non_null(key);
    assert_non_null(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400);
    X509_set_pubkey(cert, key);
    subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);

    file = fopen(certificate, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    fclose(file);
    file = fopen(private_key, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PKCS8PrivateKey(
                         file, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL,
                         0, NULL,
                         passphrase ? (void *)(uintptr_t)passphrase : NULL),
                     1);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline void tls_files_make(struct tls_files *files)
{
    snprintf(files->dir, sizeof(files->dir), "/tmp/holdfast-tls-XXXXXX");
    assert_non_null(mkdtemp(files->dir));
    snprintf(files->certificate, sizeof(files->certificate), "%s/cert.pem",
             files->dir);
    snprintf(files->private_key, sizeof(files->private_key), "%s/key.pem",
             files->dir);
    tls_write_pair(files->certificate, files->private_key, "first", 30, NULL);
}

static inline void tls_files_remove(const struct tls_files *files)
{
    unlink(files->certificate);
    unlink(files->private_key);
    assert_int_equal(rmdir(files->dir), 0);
}

#endif
