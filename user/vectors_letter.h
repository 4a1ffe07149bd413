/* SPDX-License-Identifier: GPL-2.0 */
/* A packet as a row of a table: what is in it, where to, and by which kind of socket. */
#ifndef TUNFENCE_VECTORS_LETTER_H
#define TUNFENCE_VECTORS_LETTER_H

#include "verify.h"

enum letter_kind {
	LETTER_UDP = 0,
	LETTER_TCP,   /* the first segment of a connection, from the shot's port */
	LETTER_ICMP6, /* a raw socket; the body begins with the ICMPv6 header */
	LETTER_RAW,   /* a raw socket; the body begins with the IP header */
	LETTER_FRAME, /* AF_PACKET; the body begins with the Ethernet header */
};

struct letter {
	enum letter_kind kind;
	const char *to;     /* frames need none */
	__u16 port;         /* 0: the shot's own */
	const char *from;   /* NULL: the kernel chooses */
	__u16 from_port;    /* 0: the kernel chooses */
	const char *device; /* the socket is bound to it; of frames NULL means eth0 */
	__u32 mark;
	int hops;           /* 0: the kernel chooses */
	bool alert;         /* IPv6: a hop-by-hop header with a router alert in front */
	__u16 segment;      /* UDP: cut by the kernel into messages of so many bytes (GSO) */
	size_t bytes;       /* wanted of the body; 0: as the body likes */
	/* Writes at most CRAFT_MAX bytes, returns how many. NULL: the token, and filling. */
	size_t (*body)(const struct shot *s, __u8 *to, size_t bytes);
};

/* Sends it, whatever is refused on the way. 0, or the -errno of the sending itself. */
int letter_send(const struct shot *s, const struct letter *letter);

/* For is_it(): the token, or a TCP segment from the shot's port. */
bool letter_is_it(const struct shot *s, const __u8 *frame, size_t bytes);

/*
 * A list of vectors that are a letter each: X(name, function, flags, summary, the letter's fields).
 * The first makes the functions, the second the rows.
 */
#define LETTER_FUNCTION(text, function, vector_flags, vector_summary, ...)                         \
	static int function(struct shot *s)                                                        \
	{                                                                                          \
		static const struct letter letter = { __VA_ARGS__ };                               \
		return letter_send(s, &letter);                                                    \
	}
#define LETTER_ROW(text, function, vector_flags, vector_summary, ...)                              \
	{                                                                                          \
		.name = (text),                                                                    \
		.summary = (vector_summary),                                                       \
		.flags = (vector_flags),                                                           \
		.fire = function,                                                                  \
		.is_it = letter_is_it,                                                             \
	},

#endif
