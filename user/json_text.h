/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Strangers' names in JSON, which has no bytes but UTF-8: jansson gives nothing at all for others,
 * and what holds them would be left out with them.
 */
#ifndef TUNFENCE_JSON_TEXT_H
#define TUNFENCE_JSON_TEXT_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "util.h"

/* As text_escape() writes it. NULL: the empty text; also out of memory. */
static inline json_t *json_text(const char *text)
{
	const size_t bytes = text ? strlen(text) : 0;
	_cleanup_free_ char *escaped = malloc(TEXT_ROOM(bytes));

	return json_string(escaped ? text_escape(text ? text : "", bytes, escaped, TEXT_ROOM(bytes))
				   : "");
}

#endif
