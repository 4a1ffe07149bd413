// SPDX-License-Identifier: GPL-2.0
/* Public keys as text and back: see key.h. Pure. A key has one text: what else would decode to the
 * same bytes is refused, as wg(8) refuses it. */
#include "key.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex[] = "0123456789abcdef";

bool key_is_set(const struct key *key)
{
	static const struct key none;

	return !key_equal(key, &none);
}

bool key_equal(const struct key *a, const struct key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Where c stands in alphabet; -1: nowhere. */
static int digit(const char *alphabet, char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

const char *key_format(const struct key *key, char buf[KEY_TEXT_LEN])
{
	__u32 bits = 0;
	size_t i, out = 0;
	int have = 0;

	for (i = 0; i < KEY_BYTES; i++) {
		bits = bits << 8 | key->byte[i];
		for (have += 8; have >= 6; have -= 6)
			buf[out++] = base64[bits >> (have - 6) & 63];
	}
	buf[out++] = base64[bits << (6 - have) & 63];
	buf[out++] = '=';
	buf[out] = '\0';
	return buf;
}

int key_parse(const char *text, struct key *ret)
{
	char again[KEY_TEXT_LEN];
	struct key key = {};
	__u32 bits = 0;
	size_t i, out = 0;
	int have = 0;

	if (strlen(text) != KEY_TEXT_LEN - 1)
		return -EINVAL;
	for (i = 0; i < KEY_TEXT_LEN - 2; i++) {
		int value = digit(base64, text[i]);

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (__u32)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			key.byte[out++] = (__u8)(bits >> have);
		}
	}
	if (strcmp(key_format(&key, again), text) != 0) /* the last bits, and the '=' */
		return -EINVAL;
	*ret = key;
	return 0;
}

const char *key_format_hex(const struct key *key, char buf[KEY_HEX_LEN])
{
	size_t i;

	for (i = 0; i < KEY_BYTES; i++) {
		buf[2 * i] = hex[key->byte[i] >> 4];
		buf[2 * i + 1] = hex[key->byte[i] & 15];
	}
	buf[2 * KEY_BYTES] = '\0';
	return buf;
}

int key_parse_hex(const char *text, struct key *ret)
{
	struct key key = {};
	size_t i;

	if (strlen(text) != KEY_HEX_LEN - 1)
		return -EINVAL;
	for (i = 0; i < KEY_BYTES; i++) {
		int high = digit(hex, text[2 * i]), low = digit(hex, text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		key.byte[i] = (__u8)(high << 4 | low);
	}
	*ret = key;
	return 0;
}
