/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A capture file that Wireshark and tcpdump read: pcapng, each packet in Linux' "cooked" form, which
 * needs no link header to be there, and with a comment.
 */
#ifndef TUNFENCE_PCAPNG_H
#define TUNFENCE_PCAPNG_H

#include <stdbool.h>
#include <stdio.h>

#include <tunfence/types.h>

#include "err.h"

struct pcapng_packet {
	__u64 time;          /* ns since 1970 */
	__u32 ifindex;
	__be16 ethertype;    /* of its frame; 0: it had no link header and begins with IP */
	bool arrived;        /* or else it was to leave */
	const __u8 *bytes;   /* behind the link header */
	__u32 captured, length; /* bytes that are there, and that there were */
	const char *comment; /* UTF-8, of less than 64 KiB */
};

/* A new file that root alone can read. -EEXIST: there is something. */
int pcapng_create(const char *path, FILE **ret, struct err *e);

/* All of it, or an error of the file's, as ferror() says. */
void pcapng_write(const struct pcapng_packet *packet, FILE *out);

#endif
