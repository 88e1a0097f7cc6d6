/*
 * params.h - the pairs of a query as one JSON object
 *
 * As Plug and Rack nest them (specification 2.1): a[b]=1 is {"a":{"b":"1"}},
 * a[]=x&a[]=y is {"a":["x","y"]}, and a[0]=x is an object with the member "0".
 * Of a name that stands twice the last value counts, also where the two would
 * be of different kinds. Every value is a string.
 */
#ifndef HF_BASE_PARAMS_H
#define HF_BASE_PARAMS_H

#include "base/buf.h"
#include "base/str.h"

#define HF_PARAMS_MAX   200u  /* values, lists and objects */
#define HF_PARAMS_DEPTH 8u    /* brackets of one name */
#define HF_PARAMS_BYTES 8192u /* of the query */

/*
 * Append the object. Names that are, or begin before a bracket as, one of
 * `without`, a list with NULL at its end, are left out. 0; HF_EMALFORMED: a bad escape, no UTF-8;
 * HF_ELIMIT: beyond a bound above or the buffer's; HF_ENOMEM.
 */
int hf_params_json(struct hf_str query, const char *const *without,
                   struct hf_buf *out);

#endif
