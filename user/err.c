// SPDX-License-Identifier: GPL-2.0
/* One error: see err.h. Never prints. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *format, ...)
{
	va_list args;

	if (!e)
		return code;

	e->code = code;
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return code;
}

int err_prefix(struct err *e, const char *format, ...)
{
	char said[sizeof(e->text)];
	size_t room;
	va_list args;
	int n;

	if (!e)
		return -1;

	memcpy(said, e->text, sizeof(said));
	va_start(args, format);
	n = vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(e->text))
		return e->code;
	room = sizeof(e->text) - (size_t)n;
	if (snprintf(e->text + n, room, ": %s", said) >= (int)room)
		return e->code; /* cut: the beginning says what it is about */
	return e->code;
}
