// SPDX-License-Identifier: GPL-2.0
/* Names in DNS queries: see question.h. Whoever sent the packet wrote the bytes. */
#include "question.h"

#include <stdio.h>
#include <string.h>

enum {
	MAX_LABEL = 63, /* RFC 1035, 2.3.4; a greater number is no length */
};

/* A label, its dots and zero bytes told from what separates and ends names. */
static char *put_label(const char *label, size_t bytes, char *out, const char *end)
{
	size_t i, run = 0;

	for (i = 0; i <= bytes; i++) {
		if (i < bytes && label[i] && label[i] != '.') {
			run++;
			continue;
		}
		text_escape(label + i - run, run, out, (size_t)(end - out));
		out += strlen(out);
		run = 0;
		if (i < bytes && end - out > 4)
			out += sprintf(out, "\\x%02x", (unsigned char)label[i]);
	}
	return out;
}

const char *question_format(const char name[TF_QUESTION_BYTES], char buf[QUESTION_TEXT_LEN])
{
	const char *const end = buf + (QUESTION_TEXT_LEN - 4); /* for the dots */
	size_t at = 0, length, have;
	char *out = buf;

	*out = '\0';
	for (;;) {
		length = at < TF_QUESTION_BYTES ? (unsigned char)name[at] : MAX_LABEL + 1;
		if (length == 0 && out != buf)
			return buf;
		if (length == 0)
			return strcpy(buf, ".");
		if (length > MAX_LABEL)
			break;
		have = TF_QUESTION_BYTES - at - 1;
		if (out != buf && end - out > 1)
			*out++ = '.';
		out = put_label(name + at + 1, length < have ? length : have, out, end);
		if (length > have)
			break;
		at += 1 + length;
	}
	strcpy(out, "...");
	return buf;
}
