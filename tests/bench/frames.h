/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packets that the bench gives to programs, by what a fence makes of them. They belong to the
 * policy that bench_config() writes and to the devices of tests/vectors/scene.h.
 */
#ifndef TESTS_BENCH_FRAMES_H
#define TESTS_BENCH_FRAMES_H

#include <stdbool.h>

#include <tunfence/policy.h>

enum {
	FRAME_BYTES = 342,  /* of the longest, DHCP's */
	FRAME_COUNT = 16,   /* different ones of each kind */
};

/* X(NAME, name, device, reason when it leaves, reason when it arrives; UNKNOWN: it does not) */
#define FRAMES(X)                                                                                  \
	X(LOOPBACK, "loopback", "lo", LOOPBACK, UNKNOWN)                                           \
	X(TUNNEL, "tunnel", "wg0", TUNNEL, UNKNOWN)                                                \
	X(INSIDE, "inside", "lan0", INSIDE, UNKNOWN)                                               \
	X(ENDPOINT, "endpoint", "eth0", ENDPOINT, ENDPOINT)                                        \
	X(ARP, "ARP", "eth0", ARP, ARP)                                                            \
	X(NEIGHBOUR, "neighbour", "eth0", NEIGHBOUR, UNKNOWN)                                      \
	X(DHCP, "DHCP", "eth0", DHCP, UNKNOWN)                                                     \
	X(LAN, "LAN", "eth0", LAN, LAN)                                                            \
	X(INBOUND, "inbound service", "eth0", INBOUND, INBOUND)                                    \
	X(RULE, "rule", "eth0", DESTINATION, DESTINATION)                                          \
	X(LOOKUP, "name lookup (drop)", "eth0", NAME_LOOKUP, UNKNOWN)                              \
	X(OTHER, "anything else (drop)", "eth0", NOT_ALLOWED, UNASKED)

enum frame {
#define X(NAME, name, device, leaves, arrives) FRAME_##NAME,
	FRAMES(X)
#undef X
	FRAME_KINDS,
};

struct frame_row {
	const char *name, *device;
	enum tf_reason leaves, arrives;
};
extern const struct frame_row frames[FRAME_KINDS];

/* The packet number i (below FRAME_COUNT) of a kind, where there are so many rules, with an
 * Ethernet header in front. Returns its length. */
__u32 frame_make(enum frame kind, __u32 i, __u32 rules, bool arrives, __u8 to[FRAME_BYTES]);

/* Writes the configuration with so many rules; none: nothing but the tunnel is allowed. */
int bench_config(const char *path, __u32 rules);

#endif
