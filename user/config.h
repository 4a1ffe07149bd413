/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fence's configuration as it was written: text -> struct config. Pure but for reading the named
 * files; knows nothing of interfaces, maps or the kernel.
 */
#ifndef TUNFENCE_CONFIG_H
#define TUNFENCE_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <tunfence/policy.h>

#include "addr.h"
#include "err.h"
#include "key.h"
#include "util.h"

#define CONFIG_MAX_USERS 64 /* of Users= */
#define CONFIG_HOST_LEN 256 /* RFC 1035: 253 characters and NUL */

/* Where a tunnel's outer packets go: a literal address, or a name resolved at up and sync. */
struct config_endpoint {
	__u8 protocol; /* IPPROTO_UDP or IPPROTO_TCP */
	__u16 port;    /* host byte order */
	bool literal;
	struct tf_addr addr;        /* if literal */
	char host[CONFIG_HOST_LEN]; /* as written */
	struct key peer; /* of a name: the peer it belongs to, if that was said */
	unsigned int line;          /* of the file it came from; 0: not from a file */
};

struct config_tunnel {
	struct tf_name interface;
	struct tf_name kind;   /* empty: decided at up from the live device or the kernel */
	bool any_protocol;     /* Protocol=any: outer packets need not look like WireGuard's */
	char *wireguard_config; /* path; NULL: none. Its endpoints are already in endpoints */
	struct config_endpoint *endpoints;
	size_t endpoint_count;
	__u16 listen_port; /* host byte order; 0: not said */
	__u32 mark;        /* 0: not said */
	struct tf_name uplink; /* empty: any */
	unsigned int line;
};

struct config_ports {
	__u8 protocol;
	__u16 from, to; /* host byte order; no two ranges of a protocol overlap */
};

struct config_destination {
	struct prefix prefix;
	__u8 protocol;      /* if !any_protocol */
	bool any_protocol;
	__u16 from, to;     /* host byte order; 0 to 65535: any port */
	struct tf_name uplink; /* empty: any */
	unsigned int line;
};

/* A group to fence in or to exempt: said by its path, or as the unit whose group it is. */
struct config_group {
	char *cgroup; /* Cgroup=: below the hierarchy's root; no '.' or '..' in it. Or NULL */
	char *unit;   /* Unit=: looked up when the world is read. Or NULL: exactly one is set */
	unsigned int line;
};

/* [Exempt]: who may send past the tunnel. */
struct config_exempt {
	bool any; /* there is such a section: the fence has a slice for such programs (slice.h) */
	struct config_group *groups; /* as they were said, that slice not among them */
	size_t group_count;
	char **users; /* names or numbers of who may start programs in the slice, besides root */
	size_t user_count;
	bool names; /* they may resolve names past the tunnel, too */
	__u32 mark; /* of their sockets; 0: not said */
};

struct config {
	char name[64];  /* of the fence: the file's name without .conf */
	char *path;     /* NULL: derived from a live interface */
	const char *origin; /* "tunfence.conf", "WireGuard configuration", "live interface" */
	enum tf_scope scope;
	struct config_group *groups; /* as they were said; none if scope is system, or a slice of the
				      * fence's own (slice.h) */
	size_t group_count;
	struct config_exempt exempt;
	enum tf_mode mode;
	struct tf_addr bootstrap; /* BootstrapDNS= */
	__u16 bootstrap_port;     /* host byte order; 0: there is none */
	bool dhcp;
	bool inbound_accept; /* Inbound=accept: what comes in is not judged. Never is in a cgroup */
	struct config_tunnel *tunnels;
	size_t tunnel_count;
	struct prefix *lan;
	size_t lan_count;
	struct config_ports *inbound;
	size_t inbound_count;
	struct tf_inside_key *inside;
	size_t inside_count;
	struct config_destination *destinations;
	size_t destination_count;
};

void config_free(struct config *c);
static inline void config_cleanup(struct config **c)
{
	config_free(*c);
}
#define _cleanup_config_ _cleanup_(config_cleanup)

/* A fence's name: 1 to 63 of [A-Za-z0-9_@-], not beginning with '-'. It becomes a directory below
 * the bpffs, which takes no '.'. */
int config_check_name(const char *name, struct err *e);

/* Reads a tunfence configuration. Every error is "FILE:LINE: what is wrong; what would be right".
 * wireguard_dir is where a WireGuardConfig= that is no absolute path is looked for. */
int config_read(const char *path, const char *name, const char *wireguard_dir,
		struct config **ret, struct err *e);

/* The same from an open stream; file is what errors call it. For tests and fuzzing. */
int config_parse(FILE *stream, const char *file, const char *name, const char *wireguard_dir,
		 struct config **ret, struct err *e);

/* The default policy of a WireGuard interface: this tunnel, its endpoints, DHCP, nothing else. */
int config_from_wireguard(const char *path, const char *interface, struct config **ret,
			  struct err *e);
int config_from_interface(const char *interface, struct config **ret, struct err *e);

/* The key table, for the manual, completion and tests: one row for every key there is. */
struct config_key {
	const char *section;
	const char *name;
	const char *value;   /* what it takes, as the manual prints it */
	const char *summary;
	bool repeatable;
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;

#endif
