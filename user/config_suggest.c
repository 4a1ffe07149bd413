// SPDX-License-Identifier: GPL-2.0
/*
 * What to say of a section or key that does not exist. A word that was meant and not obeyed would
 * be a hole or a cut nobody sees, so it is always an error; this makes it a helpful one.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "config_parser.h"
#include "util.h"

#define WORD_MAX 32 /* longer ones are no typing errors of ours */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to add, remove or replace to get from a to b; case does not count. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1];
	size_t length = strlen(b);

	if (strlen(a) > WORD_MAX || length > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;

	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);
			size_t replaced = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
		}
	}
	return row[length];
}

/* Keeps the nearest word so far, if it is near at all. */
struct guess {
	const char *word;
	size_t distance;
};

static void guess_try(struct guess *g, const char *said, const char *word)
{
	size_t distance = edit_distance(said, word);
	size_t near = (smaller(strlen(said), strlen(word)) + 1) / 2;

	if (distance > near || (g->word && distance >= g->distance))
		return;
	*g = (struct guess){ .word = word, .distance = distance };
}

int config_unknown_section(const char *name, size_t length, struct err *e)
{
	_cleanup_free_ char *said = strndup(name, length);
	struct guess guess = { 0 };

	if (!said)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < SECTIONS; i++)
		guess_try(&guess, said, config_sections[i]);
	if (guess.word)
		return err_set(e, -EINVAL, "unknown section '[%s]'; did you mean '[%s]'?", said,
			       guess.word);
	return err_set(e, -EINVAL,
		       "unknown section '[%s]'; there are [Fence], [Tunnel], [Allow] and [Exempt]",
		       said);
}

int config_unknown_key(enum config_section section, const char *name, struct err *e)
{
	const char *here = config_sections[section];
	struct guess guess = { 0 };

	for (size_t i = 0; i < config_key_count; i++)
		if (!strcasecmp(config_keys[i].name, name) && !streq(config_keys[i].section, here))
			return err_set(e, -EINVAL, "unknown key '%s' in [%s]; '%s' belongs in [%s]",
				       name, here, config_keys[i].name, config_keys[i].section);

	for (size_t i = 0; i < config_key_count; i++)
		if (streq(config_keys[i].section, here))
			guess_try(&guess, name, config_keys[i].name);
	if (guess.word)
		return err_set(e, -EINVAL, "unknown key '%s' in [%s]; did you mean '%s'?", name,
			       here, guess.word);
	return err_set(e, -EINVAL,
		       "unknown key '%s' in [%s]; see tunfence.conf(5) for those there are", name,
		       here);
}
