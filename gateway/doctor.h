/*
 * doctor.h - the page <mount>/doctor: what this host can do, seen by a browser
 *
 * The page measures (www/doctor/doctor.js), asking the gateway what probe.h
 * answers, and shows the reports. It is for the owner; whoever is not gets the
 * page that says how that is proven (visit.h). Where no journal directory can
 * be opened nothing remembers the owner, and the page says what was found.
 */
#ifndef HF_GATEWAY_DOCTOR_H
#define HF_GATEWAY_DOCTOR_H

#include "gateway/visit.h"

/* Answer a visit to it. 0, HF_ENOMEM, HF_EIO, HF_ELIMIT: there is no page. */
int hf_doctor_page(struct hf_visit *visit, struct hf_html *out);

#endif
