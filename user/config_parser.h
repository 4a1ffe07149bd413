/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What config.c (lines and sections), config_keys.c (keys) and config_check.c (how the values go
 * together) share while one file is read. Nobody else includes this.
 */
#ifndef TUNFENCE_CONFIG_PARSER_H
#define TUNFENCE_CONFIG_PARSER_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "err.h"

enum config_section {
	SECTION_Fence,
	SECTION_Tunnel,
	SECTION_Allow,
	SECTION_Exempt,
	SECTIONS,
	SECTION_NONE = SECTIONS,
};

extern const char *const config_sections[SECTIONS];

/* Every key there is, in the order of the manual:
 * X(section, name, parser, repeatable, value as the manual prints it, summary) */
/* clang-format off */
#define CONFIG_KEYS(X)                                                                             \
	X(Fence, Scope, scope, false,                                                              \
	  "system|cgroup",                                                                         \
	  "what is fenced in: the whole machine, or the cgroups that are named")                   \
	X(Fence, Cgroup, cgroup, true,                                                             \
	  "PATH...",                                                                               \
	  "cgroups to fence in, with their descendants; implies Scope=cgroup")                     \
	X(Fence, Unit, unit, true,                                                                 \
	  "NAME...",                                                                               \
	  "units of systemd whose cgroups to fence in; implies Scope=cgroup")                      \
	X(Fence, Mode, mode, false,                                                                \
	  "enforce|observe",                                                                       \
	  "drop what is not allowed, or only count it")                                            \
	X(Fence, BootstrapDNS, bootstrap, false,                                                   \
	  "ADDRESS[:PORT]",                                                                        \
	  "the name server that tunfence alone may ask, for its endpoints, outside the tunnel")    \
	X(Tunnel, Interface, interface, false,                                                     \
	  "NAME",                                                                                  \
	  "the interface traffic may leave by")                                                    \
	X(Tunnel, Kind, kind, false,                                                               \
	  "KIND",                                                                                  \
	  "the kind of link it must be: wireguard, tun, ...")                                      \
	X(Tunnel, Protocol, protocol, false,                                                       \
	  "wireguard|any",                                                                         \
	  "what its outer packets must look like")                                                 \
	X(Tunnel, Endpoint, endpoint, true,                                                        \
	  "[udp|tcp] HOST:PORT",                                                                   \
	  "where its outer packets may go")                                                        \
	X(Tunnel, WireGuardConfig, wireguard_config, false,                                        \
	  "PATH",                                                                                  \
	  "the wg-quick file to take Endpoint, ListenPort and FwMark from")                        \
	X(Tunnel, ListenPort, listen_port, false,                                                  \
	  "PORT",                                                                                  \
	  "the source port of its outer packets")                                                  \
	X(Tunnel, FwMark, mark, false,                                                             \
	  "NUMBER",                                                                                \
	  "the mark its outer packets must have")                                                  \
	X(Tunnel, Uplink, uplink, false,                                                           \
	  "NAME",                                                                                  \
	  "the interface its outer packets must leave by")                                         \
	X(Allow, LAN, lan, false,                                                                  \
	  "no|yes|PREFIX...",                                                                      \
	  "private ranges that may be reached outside the tunnel")                                 \
	X(Allow, DHCP, dhcp, false,                                                                \
	  "yes|no",                                                                                \
	  "whether an address may be asked for by DHCP")                                           \
	X(Allow, Inbound, inbound, false,                                                          \
	  "drop|accept",                                                                           \
	  "what comes in unasked outside the tunnel; Scope=cgroup always accepts")                 \
	X(Allow, InboundTCP, inbound_tcp, true,                                                    \
	  "PORTS",                                                                                 \
	  "local TCP ports that may be reached, and may answer, outside the tunnel")               \
	X(Allow, InboundUDP, inbound_udp, true,                                                    \
	  "PORTS",                                                                                 \
	  "local UDP ports that may be reached, and may answer, outside the tunnel")               \
	X(Allow, Inside, inside, true,                                                             \
	  "PATTERN...",                                                                            \
	  "interfaces whose far side is trusted")                                                  \
	X(Allow, Destination, destination, true,                                                   \
	  "[udp|tcp|icmp|any] PREFIX [port N|N-M] [uplink NAME]",                                  \
	  "what may be reached outside the tunnel")                                              \
	X(Exempt, Cgroup, exempt_cgroup, true,                                                     \
	  "PATH...",                                                                               \
	  "cgroups whose programs may leave outside the tunnel, with their descendants")           \
	X(Exempt, Unit, exempt_unit, true,                                                         \
	  "NAME...",                                                                               \
	  "units of systemd whose programs may leave outside the tunnel")                          \
	X(Exempt, Users, exempt_users, true,                                                       \
	  "USER...",                                                                               \
	  "who besides root may start programs that may")                                          \
	X(Exempt, DNS, exempt_dns, false,                                                          \
	  "tunnel|uplink",                                                                         \
	  "where exempt programs may resolve names")                                               \
	X(Exempt, Mark, exempt_mark, false,                                                        \
	  "NUMBER",                                                                                \
	  "the mark that routes their packets, if it must be a certain one")
/* clang-format on */

enum config_key_id {
#define X(section, name, parser, repeatable, value, summary) KEY_##section##_##name,
	CONFIG_KEYS(X)
#undef X
	KEY_COUNT,
};

struct parser {
	FILE *stream;
	const char *file;
	const char *wireguard_dir;
	size_t size;       /* bytes read so far */
	unsigned int line; /* the one being read */
	unsigned int at;   /* the one an error is about; 0: the file as a whole */
	int failed;        /* negative errno of the first error, whose text e has */
	enum config_section section;
	unsigned int section_line[SECTIONS]; /* of its first; 0: none yet */
	unsigned int key_line[KEY_COUNT];    /* of its first in this section; 0: none yet */
	struct config *config;
	size_t endpoint_count; /* of all tunnels */
	unsigned int inside_line[TF_MAX_INSIDE];
	unsigned int tcp_line[UINT16_MAX + 1]; /* of the InboundTCP with this port; 0: none */
	unsigned int udp_line[UINT16_MAX + 1];
	struct err *e;
};

void parser_free(struct parser *p); /* and its config */
static inline void parser_cleanup(struct parser **p)
{
	parser_free(*p);
}
#define _cleanup_parser_ _cleanup_(parser_cleanup)

int parser_no_memory(struct parser *p);

/* Room for one more: the array doubles when count reaches a power of two. */
int parser_grow(struct parser *p, void **array, size_t count, size_t size);
#define PARSER_GROW(p, array, count)                                                               \
	({                                                                                         \
		void *grown_ = (array);                                                            \
		int r_ = parser_grow(p, &grown_, count, sizeof(*(array)));                         \
		(array) = grown_;                                                                  \
		r_;                                                                                \
	})

/* The [Tunnel] being read. A new one becomes it. */
struct config_tunnel *parser_tunnel(struct parser *p);
int parser_add_tunnel(struct parser *p);

const struct config_endpoint *parser_find_endpoint(const struct config_tunnel *tunnel,
						   const struct config_endpoint *endpoint);
int parser_add_endpoint(struct parser *p, struct config_tunnel *tunnel,
			const struct config_endpoint *endpoint);

/* A clean, non-empty value -> p->config. */
int config_key_parse(struct parser *p, enum config_key_id key, const char *value);
enum config_section config_key_section(enum config_key_id key);
enum config_key_id config_key_find(enum config_section section, const char *name); /* KEY_COUNT */

/* What to say of a word that is no section, no key: the section it belongs to, or the nearest. */
int config_unknown_section(const char *name, size_t length, struct err *e);
int config_unknown_key(enum config_section section, const char *name, struct err *e);

/* At the end of a [Tunnel]: takes in its WireGuardConfig=. Sets p->at. */
int config_check_tunnel(struct parser *p);
int config_merge_wireguard(struct parser *p, struct config_tunnel *tunnel);

/* At the end of the file. Sets p->at. */
int config_check(struct parser *p);

#endif
