/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For vectors that ask from outside: packets from the router to the client by eth0, how answers
 * look, and sockets of the client that wait for them.
 */
#ifndef TUNFENCE_VECTORS_ASK_H
#define TUNFENCE_VECTORS_ASK_H

#include "verify.h"

enum {
	ASK_ROOM = 512,   /* for a packet by hand */
	ASK_PAYLOAD = 64, /* begins with the token */
	ASK_SYN = 2,      /* TCP flags */
	ASK_RST = 4,
	ASK_ACK = 16,
};

/* In the router's namespace: from and to are the packet's addresses, both ports the shot's. */
int ask_packet(const __u8 *packet, size_t bytes);
int ask_udp4(const struct shot *s, const char *from, const char *to);
int ask_udp6(const struct shot *s, const char *from, const char *to);
int ask_echo4(const struct shot *s, const char *from, const char *to);
int ask_echo6(const struct shot *s, const char *from, const char *to);
/* With ASK_ACK it acknowledges the token's first four bytes: a reset's sequence number. */
int ask_tcp4(const struct shot *s, const char *from, const char *to, __u8 flags);

/* For is_it(): the answers to ask_tcp4(). */
bool ask_is_accepted(const struct shot *s, const __u8 *frame, size_t bytes);
bool ask_is_reset(const struct shot *s, const __u8 *frame, size_t bytes);

/* Sockets in the client, at the shot's port of every address: s->fd. */
int ask_listen4(struct shot *s);
int ask_listen6(struct shot *s);
int ask_listen_udp4(struct shot *s);

/* Waits for a datagram at s->fd and answers it with the token. */
int ask_answer_one(struct shot *s);

#endif
