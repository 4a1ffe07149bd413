/* SPDX-License-Identifier: GPL-2.0 */
/* The name that a DNS query asks for, from its bytes to text. Does no I/O. */
#ifndef TUNFENCE_QUESTION_H
#define TUNFENCE_QUESTION_H

#include <tunfence/policy.h>

#include "text.h"

#define QUESTION_TEXT_LEN (TEXT_ROOM(TF_QUESTION_BYTES) + 4)

/* "www.example.org", "." for the root. Ends in "..." where the name goes on beyond what was kept, or
 * is none. Dots within labels are \x2e. Returns buf. */
const char *question_format(const char name[TF_QUESTION_BYTES], char buf[QUESTION_TEXT_LEN]);

#endif
