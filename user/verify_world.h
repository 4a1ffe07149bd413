/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine of verify: its throw-away world, its judge, the fence under test. Vectors see only what
 * verify.h offers.
 *
 * A run is isolated first (verify_isolate): private mounts, processes and network. Worlds are made
 * in it, one after the other; whatever kills the run, the kernel takes all of it away, but for the
 * cgroups, which the next run sweeps.
 */
#ifndef TUNFENCE_VERIFY_WORLD_H
#define TUNFENCE_VERIFY_WORLD_H

#include <sys/types.h>

#include "err.h"
#include "util.h"
#include "verify.h"

#define VERIFY_DEVICE "eth0"
#define VERIFY_TUNNEL "wg0"
#define VERIFY_PEER_TUNNEL "vpn0"
#define VERIFY_MTU 1420
#define VERIFY_RUN "/run/verify" /* below a tmpfs of ours */

/* Written by a firing's processes, read by the engine: shared memory. */
struct verify_notes {
	bool touched; /* the world is no longer as it was built */
};

enum verify_daemon { VERIFY_TUN, VERIFY_PEER, VERIFY_ECHO, VERIFY_DAEMONS };

struct verify_world {
	int places[VERIFY_PLACES];    /* network namespaces */
	pid_t daemons[VERIFY_DAEMONS]; /* 0: not running */
	int echo;                     /* a port number goes in, a byte comes back: it is open */
	int sniffer;                  /* of every device in the router */
	int beacon;                   /* sends to the router from the server */
	unsigned int far_side;        /* the router's device to the server: not the client's frames */
	struct verify_notes *notes;
	char cgroup[4096];            /* stands for the machine, below run_cgroup */
	char bpffs[64], run_dir[64];
	bool fenced;
	unsigned int number;
};

struct verify_run {
	char cgroup[4096];
	int cgroup_lock;
	ino_t machine; /* the network namespace never to be in */
	unsigned int worlds, shots;
	bool has_lsm;       /* the fence uses it */
	const char *script; /* "SCRIPT up" raises the fence, "SCRIPT down" lowers it; NULL: tunfence */
	struct verify_world *kept[2][2]; /* to be used again: [fenced][tunnel up] */
};

/* verify_isolate.c */

/* Runs function in a child that is the first process of private namespaces. Its exit status, or
 * -errno. However the caller ends, the child and all below it end too. */
int verify_isolate(int (*function)(void *data), void *data, struct err *e);
/* In that child, first: its own network, /run, and a cgroup below this one (NULL: the root group). */
int verify_run_begin(struct verify_run *run, const char *cgroup, struct err *e);
void verify_run_end(struct verify_run *run);
/* Moves this process into a cgroup. */
int verify_join(const char *cgroup);
/* Kills whoever is left in a cgroup, and removes it. */
void verify_remove_cgroup(const char *cgroup);

/* verify_world.c */

/* Without a tunnel. NULL with e filled. */
struct verify_world *verify_world_new(struct verify_run *run, struct err *e);
void verify_world_free(struct verify_world *w);
static inline void verify_world_cleanup(struct verify_world **w)
{
	verify_world_free(*w);
}
#define _cleanup_verify_world_ _cleanup_(verify_world_cleanup)
int verify_tunnel_up(struct verify_world *w, struct err *e);
void verify_tunnel_kill(struct verify_world *w);
/* Whether a datagram goes through the tunnel and its echo comes back. */
bool verify_tunnel_works(const struct verify_world *w);
/* From now on the server echoes on this port too. */
int verify_open_port(const struct verify_world *w, __u16 port, struct err *e);
/* A descriptor to a fresh network namespace with lo up and no setting of the machine's. */
int verify_make_namespace(bool forwards);

/* verify_daemon.c: none of them returns. ready gets a byte when all is open. */
void verify_serve_tun(int ready) __attribute__((noreturn));
void verify_serve_peer(int ready) __attribute__((noreturn));
void verify_serve_echo(int channel) __attribute__((noreturn));

/* verify_fence.c */

int verify_fence_raise(struct verify_run *run, struct verify_world *w, struct err *e);
void verify_fence_lower(const struct verify_run *run, struct verify_world *w);

/* verify_judge.c */

struct verify_count {
	const struct vector *vector;
	const struct shot *shot;
	unsigned int frames; /* of this vector */
};

/* A descriptor that hears every device of the current namespace. */
int verify_sniffer_open(struct err *e);
/* A descriptor for the frames that end a silence, to be opened in the server. */
int verify_beacon_open(struct err *e);
/* Throws away what has come so far. */
void verify_sniffer_drain(const struct verify_world *w);
/* Counts what has come; returns when everything that was sent before the call has been counted. */
int verify_settle(const struct verify_world *w, struct verify_count *count, struct err *e);

/* verify_fire.c */

struct verify_shot {
	int prepared;        /* 0 or -errno */
	int told;            /* 0 or -errno, by fire() */
	unsigned int frames; /* that the judge saw */
};

/* Fires one vector once. An error: no verdict is possible. */
int verify_fire(struct verify_run *run, const struct vector *v, bool fenced,
		struct verify_shot *ret, struct err *e);
/* Whether the tunnel works, without and with the fence. 0, or -EIO with what does not. */
int verify_tunnel_check(struct verify_run *run, bool fenced, struct err *e);
/* The worlds that were kept. */
void verify_worlds_free(struct verify_run *run);

/* verify_run.c */

enum verify_verdict { VERIFY_HELD, VERIFY_LEAKED, VERIFY_NOT_TESTED, VERIFY_FAILED, VERIFY_VERDICTS };

struct verify_result {
	const struct vector_group *group;
	const struct vector *vector;
	struct verify_shot open, fenced; /* fenced: only where open leaked */
	bool has_fenced;
	enum verify_verdict verdict;
	struct err why;            /* of "not tested" and "failed" */
};

/* The groups there are, in the order of the output, and what a person calls them. */
struct verify_group {
	const struct vector_group *group;
	const char *summary;
};
extern const struct verify_group verify_groups[];
extern const size_t verify_group_count;

/* Whether --only means this vector: its name, its group's, a pattern with '*' of either, or several of
 * these with commas between them. */
bool verify_is_chosen(const char *only, const struct vector_group *g, const struct vector *v);
/* Fires a vector without and with the fence, and judges. Never fails: a verdict may be FAILED. */
void verify_vector(struct verify_run *run, const struct vector_group *g, const struct vector *v,
		   struct verify_result *ret);

/* verify_jobs.c */

struct verify_audience {
	void (*tell)(const struct verify_result *r, void *data);
	bool (*goes_on)(void); /* asked now and then; false ends the run after what is in the air */
	void *data;
};

/* Fires all that are chosen, several at a time. Each result is told once, in the order of the tables;
 * that of a vector whose process died is FAILED. */
int verify_all(struct verify_run *run, const char *only, const struct verify_audience *audience,
	       struct err *e);

#endif
