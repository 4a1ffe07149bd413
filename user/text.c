// SPDX-License-Identifier: GPL-2.0
/* Strangers' text: see text.h. What is not known to be harmless is not shown as it is. */
#define _GNU_SOURCE /* open_memstream */

#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <tunfence/types.h>

#include "util.h"

/* First and last, of characters that are not what they seem. */
static const struct {
	__u32 first, last;
} unseen[] = {
	{ 0x00, 0x1f },     { 0x7f, 0x9f },       /* controls */
	{ 0xad, 0xad },                           /* soft hyphen */
	{ 0x61c, 0x61c },   { 0x180b, 0x180f },   /* marks of direction, of variants */
	{ 0x200b, 0x200f }, { 0x2028, 0x202e },   /* without width; ends of lines, direction */
	{ 0x2060, 0x206f }, { 0xd800, 0xdfff },   /* surrogates */
	{ 0xe000, 0xf8ff },                       /* private use: whatever a font makes of them */
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
	{ 0xfff0, 0xfffb }, { 0xfffe, 0xffff },
	{ 0xe0000, ~0U },                         /* tags, private use, what Unicode does not have */
};

static bool is_seen(__u32 c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unseen); i++) {
		if (c >= unseen[i].first && c <= unseen[i].last)
			return false;
	}
	return true;
}

/* The character at from, and how many bytes it has; 0: it is none (RFC 3629). */
static size_t decode(const __u8 *from, size_t bytes, __u32 *ret)
{
	static const __u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = from[0] < 0x80		    ? 1 :
			(from[0] & 0xe0) == 0xc0    ? 2 :
			(from[0] & 0xf0) == 0xe0    ? 3 :
			(from[0] & 0xf8) == 0xf0    ? 4 :
						      0;
	__u32 c = length == 1 ? from[0] : from[0] & (0x7fU >> length);
	size_t i;

	if (!length || length > bytes)
		return 0;
	for (i = 1; i < length; i++) {
		if ((from[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (from[i] & 0x3f);
	}
	*ret = c;
	return c < least[length] ? 0 : length;
}

const char *text_escape(const char *from, size_t bytes, char *to, size_t room)
{
	const __u8 *at = (const __u8 *)from, *end = at + strnlen(from, bytes);
	char *out = to;
	size_t length;
	__u32 c = 0;

	while (at < end) {
		length = decode(at, (size_t)(end - at), &c);
		if (length && is_seen(c)) {
			if (room <= length)
				break;
			memcpy(out, at, length);
			at += length;
			out += length;
			room -= length;
			continue;
		}
		if (room <= 4)
			break;
		snprintf(out, room, "\\x%02x", *at++);
		out += 4;
		room -= 4;
	}
	if (room)
		*out = '\0';
	return to;
}

/* The bytes of what stands in one column, or in none: a colour. */
static size_t step(const char *at, size_t *columns)
{
	size_t length = 1;

	if (at[0] == '\033') {
		length = strcspn(at, "m");
		return at[length] ? length + 1 : length;
	}
	while ((at[length] & 0xc0) == 0x80)
		length++;
	++*columns;
	return length;
}

/* How much of the line, which may go on behind its end, stands on one that begins at a column. */
static size_t fit(const char *line, size_t column, size_t width, size_t indent)
{
	size_t at = 0, space = 0;

	while (line[at] && line[at] != '\n') {
		if (line[at] == ' ' && column >= indent)
			space = at;
		at += step(line + at, &column);
		if (column > width && space)
			return space;
	}
	return at;
}

static void wrap_line(const char *line, size_t width, size_t indent, FILE *out)
{
	size_t taken = fit(line, 0, width, indent);

	fprintf(out, "%.*s", (int)taken, line);
	for (line += taken; *line == ' '; line += taken) {
		line++;
		taken = fit(line, indent, width, indent);
		fprintf(out, "\n%*s%.*s", (int)indent, "", (int)taken, line);
	}
}

char *text_wrap(const char *text, size_t width, size_t indent)
{
	char *wrapped = NULL;
	size_t size;
	FILE *out = open_memstream(&wrapped, &size);

	if (!out)
		return NULL;
	for (; *text; text += strcspn(text, "\n")) {
		if (*text == '\n')
			putc(*text++, out);
		wrap_line(text, width, indent, out);
	}
	if (fclose(out) == 0)
		return wrapped;
	free(wrapped);
	return NULL;
}
