/*
 * setup.h - the page <mount>/setup: from an uploaded program to a journal
 *
 *     visitor  --GET-->  how to prove it, and who may speak
 *     owner    --form->  [the test: can this be read by its address?]
 *              --form->  what was made, what to paste, a first message
 *
 * Once there is a journal it makes nothing any more: the owner's key shows what
 * is there for an hour, everybody else is told that there is nothing to set up.
 */
#ifndef HF_GATEWAY_SETUP_H
#define HF_GATEWAY_SETUP_H

#include "gateway/visit.h"

/* Answer a visit to it. 0, HF_ENOMEM, HF_EIO, HF_ELIMIT: there is no page. */
int hf_setup_page(struct hf_visit *visit, struct hf_html *out);

#endif
