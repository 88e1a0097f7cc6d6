/*
 * pages.h - the texts of www/setup and www/doctor, embedded
 *
 * gateway/pages.c is made of them by build-aux/embed-pages: www/setup/page.css
 * is hf_page_setup_page_css. A name that is only in one of the two does not
 * link.
 */
#ifndef HF_GATEWAY_PAGES_H
#define HF_GATEWAY_PAGES_H

/* The frame of every page, its style and script. */
extern const char hf_page_setup_frame_html[];
extern const char hf_page_setup_page_css[];
extern const char hf_page_setup_setup_js[];

/* Templates of what is within (setup.c, visit.c). */
extern const char hf_page_setup_prove_html[];
extern const char hf_page_setup_resume_html[];
extern const char hf_page_setup_rights_html[];
extern const char hf_page_setup_test_html[];
extern const char hf_page_setup_done_html[];
extern const char hf_page_setup_nowhere_html[];
extern const char hf_page_setup_said_html[];

/* The doctor's (doctor.c), with the style of all beside its own. */
extern const char hf_page_doctor_doctor_html[];
extern const char hf_page_doctor_doctor_css[];
extern const char hf_page_doctor_doctor_js[];

#endif
