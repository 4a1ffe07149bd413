/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the one screen share: see print.c and stopped_print.c. Nobody else needs it. */
#ifndef TUNFENCE_VIEW_PRINT_H
#define TUNFENCE_VIEW_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "colour.h"
#include "view.h"

struct screen {
	const struct view *v;
	bool all; /* also what is rarely needed */
	struct colours c;
	FILE *out;
};

/* A name that others chose, fit to be shown; and with words in front of it. */
void put_name(FILE *out, const char *name);
void put_named(FILE *out, const char *words, const char *name);

/* How much, by whom most, what went round a plane. */
void stopped_print(const struct screen *s);

#endif
