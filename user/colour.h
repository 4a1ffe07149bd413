/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Colours, for people: only on a terminal that has them, and not where NO_COLOR is set (see
 * no-color.org). Into a pipe or a file goes plain text. Prints nothing itself.
 */
#ifndef TUNFENCE_COLOUR_H
#define TUNFENCE_COLOUR_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What to print in front of a word, and plain behind it. Without colours all are empty. */
struct colours {
	const char *good;  /* it is safe */
	const char *bad;   /* it is not */
	const char *notice; /* something happened */
	const char *name;  /* whose it is: the word to look for */
	const char *faint; /* need not be read */
	const char *plain;
};

static inline bool colours_are_wanted(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && (!no || !no[0]) && term && strcmp(term, "dumb") != 0;
}

static inline struct colours colours_if(bool wanted)
{
	static const struct colours none = { "", "", "", "", "", "" };
	static const struct colours ansi = { "\033[1;32m", "\033[1;31m", "\033[33m", "\033[1m",
					     "\033[2m", "\033[0m" };

	return wanted ? ansi : none;
}

static inline struct colours colours_for(FILE *out)
{
	return colours_if(colours_are_wanted(out));
}

#endif
