/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A peer's public key, which is what WireGuard calls the peer by: as bytes, in base64 as people and
 * wg(8) write it, in hexadecimal as user-space devices do. Public keys only: no other is ever kept.
 */
#ifndef TUNFENCE_KEY_H
#define TUNFENCE_KEY_H

#include <stdbool.h>

#include <tunfence/types.h>

enum key_length {
	KEY_BYTES = 32,
	KEY_TEXT_LEN = 44 + 1, /* with NUL */
	KEY_HEX_LEN = 64 + 1,
};

struct key {
	__u8 byte[KEY_BYTES]; /* all zero: none */
};

bool key_is_set(const struct key *key);
bool key_equal(const struct key *a, const struct key *b);

/* The whole text or -EINVAL; ret is untouched then. */
int key_parse(const char *text, struct key *ret);
int key_parse_hex(const char *text, struct key *ret);

/* Both return buf. */
const char *key_format(const struct key *key, char buf[KEY_TEXT_LEN]);
const char *key_format_hex(const struct key *key, char buf[KEY_HEX_LEN]);

#endif
