/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fences as numbers, for Prometheus: gathered from what status knows into a list of samples,
 * and written as text. Prints nothing and changes nothing.
 *
 * What cannot be told is not fenced: a fence that cannot be read is a sample that says so.
 */
#ifndef TUNFENCE_METRICS_H
#define TUNFENCE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "err.h"
#include "util.h"

/* Every metric there is: X(NAME, name, type, help). Names end in their unit, and counters in
 * _total. People's alerts name them: one that is there keeps its name and its meaning. No help has
 * a quote or a backslash, which the two formats do not write alike. */
#define METRICS(X)                                                                                 \
	X(BUILD, "tunfence_build_info", gauge, "The version of tunfence that wrote this")          \
	X(FENCED, "tunfence_fenced", gauge,                                                        \
	  "Whether a fence protects this machine and all of them do what they should")             \
	X(UP, "tunfence_fence_up", gauge, "Whether the fence is up and can be read")               \
	X(WHOLE, "tunfence_fence_whole", gauge, "Whether the fence does all that it should")       \
	X(INFO, "tunfence_fence_info", gauge, "What kind of fence it is")                          \
	X(PROBLEMS, "tunfence_fence_problems", gauge, "How many things status says are not well")  \
	X(RAISED, "tunfence_fence_raised_timestamp_seconds", gauge,                                \
	  "When the fence was raised or replaced")                                                 \
	X(LOOKED, "tunfence_fence_looked_timestamp_seconds", gauge,                                \
	  "When up or sync last looked where the endpoints of the tunnels are")                    \
	X(RESOLVED, "tunfence_fence_resolved_timestamp_seconds", gauge,                            \
	  "When all names of endpoints last had an address; 0: never")                             \
	X(HOOK, "tunfence_hook_up", gauge, "Whether a hook of the fence stands")                   \
	X(TUNNEL, "tunfence_tunnel_up", gauge, "Whether the interface of the tunnel is up")        \
	X(ENDPOINTS, "tunfence_tunnel_endpoints", gauge,                                           \
	  "How many endpoints the tunnel may use")                                                 \
	X(HANDSHAKE, "tunfence_tunnel_last_handshake_timestamp_seconds", gauge,                    \
	  "When a peer of the WireGuard tunnel was last heard of; 0: never")                       \
	X(PACKETS, "tunfence_packets_total", counter, "Packets that were judged")                  \
	X(BYTES, "tunfence_bytes_total", counter, "Bytes of the packets that were judged")         \
	X(DISAGREE, "tunfence_planes_disagree_packets_total", counter,                             \
	  "Packets that only the wire plane stopped and the socket plane should have")             \
	X(ENTRIES, "tunfence_blocked_entries", gauge, "How many kinds of packets blocked knows")   \
	X(ROOM, "tunfence_blocked_room", gauge, "For how many kinds of packets blocked has room")  \
	X(MISSED, "tunfence_blocked_missed_packets", gauge,                                        \
	  "Packets that were stopped since blocked was cleared and are of no kind it knows")       \
	X(LOST, "tunfence_events_lost_total", counter, "Events that a watcher had no room for")

enum metric {
#define X(NAME, name, type, help) METRIC_##NAME,
	METRICS(X)
#undef X
	METRIC_COUNT,
};

struct metric_sample {
	enum metric metric;
	char *labels; /* as they are written: name="value", with commas; empty: none */
	unsigned long long value;
};

struct metrics {
	struct metric_sample *samples;
	size_t count;
	bool incomplete; /* out of memory: not to be written */
};

void metrics_free(struct metrics *m); /* what it points to, not m itself */
#define _cleanup_metrics_ _cleanup_(metrics_free)

/* Where it looks, as the options of the command line say. */
struct metrics_source {
	const char *bpffs;
	const char *run_dir;
	const char *state_dir;
	const char *socket_dir;
};

struct metric_label {
	const char *name; /* NULL: there are no more */
	const char *value;
};

#define METRIC_LABELS 4 /* of a sample, at most */

/* Adds a sample. A label's value may be anything: it is written so that every reader takes it. */
void metrics_put(struct metrics *m, enum metric metric, unsigned long long value,
		 const struct metric_label labels[METRIC_LABELS + 1]);

/* The same: metrics_add(m, METRIC_UP, 1, { "fence", "wg0" }) */
#define metrics_add(m, metric, value, ...)                                                         \
	metrics_put(m, metric, value, (const struct metric_label[METRIC_LABELS + 1]){ __VA_ARGS__ })

/* Adds what there is to say of fence name, or of all (NULL). ret_fenced: as status exits. On
 * failure m is good, too, and says that nothing is fenced; but for -ENOMEM. */
int metrics_gather(const struct metrics_source *from, const char *name, struct metrics *m,
		   bool *ret_fenced, struct err *e);

/* Prometheus' text format, whose counters end in _total in what is said of them as well, with the
 * last line of OpenMetrics. Strict OpenMetrics says it without, and then promtool and the textfile
 * collector find counters without a type; this form Prometheus takes as either. 0 or -errno. */
int metrics_write(const struct metrics *m, FILE *out);

#endif
