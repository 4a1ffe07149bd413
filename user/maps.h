/* SPDX-License-Identifier: GPL-2.0 */
/*
 * struct policy <-> the maps of one loaded object. Fills, freezes and reads back; attaches nothing.
 */
#ifndef TUNFENCE_MAPS_H
#define TUNFENCE_MAPS_H

#include <tunfence/decide.h>
#include <tunfence/policy.h>

#include "compile.h"
#include "err.h"
#include "native.h"
#include "resolve.h"

/* Every map there is: X(NAME, name in the kernel, whether it is frozen once filled, whether it goes on
 * in the next policy). Programs write to a frozen map all the same. */
#define MAPS(X)                                                                                    \
	X(RODATA, "tunfence.rodata", true, false)                                                  \
	X(ENDPOINTS, "endpoints", true, false)                                                     \
	X(LIVE, "live_endpoints", false, false)                                                    \
	X(LIVE_HASHES, "live_hashes", false, false)                                                \
	X(PREFIXES, "prefixes", true, false)                                                       \
	X(NETWORKS, "networks", true, false)                                                       \
	X(RECENT, "recent", true, false)                                                           \
	X(SERVICES, "services", true, false)                                                       \
	X(UPLINKS, "uplinks", true, false)                                                         \
	X(INSIDE, "inside", true, false)                                                           \
	X(INBOUND, "inbound", true, false)                                                         \
	X(FRAGMENTS, "fragments", false, false)                                                    \
	X(COUNTERS, "counters", true, true)                                                        \
	X(TUNNELS, "tunnels", false, false)                                                        \
	X(QUESTION, "question", false, false)                                                      \
	X(OWNERS, "owners", true, true)                                                            \
	X(BLOCKED, "blocked", false, true)                                                         \
	X(CLEARED, "cleared", false, true)                                                         \
	X(LISTENERS, "listeners", false, true)                                                     \
	X(LEASES, "leases", false, true)

enum map {
#define X(NAME, name, frozen, carried) MAP_##NAME,
	MAPS(X)
#undef X
	MAP_COUNT,
};

const char *map_name(enum map map);
bool map_is_frozen(enum map map);
bool map_is_carried(enum map map);

/* Descriptors by enum map; -1: none. */
struct maps {
	int fd[MAP_COUNT];
};

void maps_init(struct maps *m);
void maps_close(struct maps *m);

/* Everything but rodata and what is carried, which the loader sets and prepares. */
int maps_fill(const struct maps *m, const struct policy *p, struct err *e);

/* From here on no program, root's included, can change a rule of this object. */
int maps_freeze(const struct maps *m, struct err *e);

/* Writes plane and reason into a new counters map, so that a dump explains itself. */
int maps_label_counters(int counters_fd, struct err *e);

/* live_endpoints and tunnels become what p says: first what is new is added, then what is gone
 * removed, so that nothing which stays is missing in between. */
int maps_write_live(const struct maps *m, const struct policy *p, struct err *e);

/* The bootstrap name server of a fence, and how to ask it; port 0: there is none. Good as long as m. */
struct resolve_server maps_server(const struct maps *m, const struct tf_policy *p);

/* The policy in a map of constants. -EBADMSG: it holds none, or not one of this layout. */
int maps_read_constants(int rodata_fd, struct tf_policy *ret);

/* The content of the kernel's maps as a policy. */
int maps_read(const struct maps *m, struct policy **ret, struct err *e);

struct counter_total {
	__u64 packets;
	__u64 bytes;
};

typedef struct counter_total counter_table[TF_PLANES][TF_REASON_COUNT];

/* Sums over all CPUs. */
int maps_read_counters(int counters_fd, counter_table ret, struct err *e);

/* Those that went round the socket plane: see TF_COUNTER_ROUND. */
int maps_read_round(int counters_fd, struct counter_total *ret, struct err *e);

/* Events that nobody was told of: see TF_COUNTER_LOST. */
int maps_read_lost(int counters_fd, struct counter_total *ret, struct err *e);

/* Answers the core's lookups with system calls on the maps of a running fence. */
extern const struct native_tables maps_tables;

#endif
