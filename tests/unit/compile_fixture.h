/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A configuration and a world made by hand, for the tests of compile(). Addresses are written as
 * text and read by addr.c; everything else is put in place byte by byte.
 */
#ifndef TESTS_COMPILE_FIXTURE_H
#define TESTS_COMPILE_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compile.h"
#include "util.h"

enum {
	MAX_TUNNELS = TF_MAX_TUNNELS + 1,
	MAX_ENDPOINTS = TF_MAX_ENDPOINTS + 1,
	MAX_DESTINATIONS = TF_MAX_DESTINATIONS + 1,
};

/* One at a time: too big for the stack. */
struct fixture {
	struct config c;
	struct world w;
	struct err e;
	struct config_tunnel tunnels[MAX_TUNNELS];
	struct world_tunnel seen[MAX_TUNNELS];
	struct cgroup groups[TF_MAX_GROUPS + 1];
	struct config_endpoint endpoints[MAX_TUNNELS][MAX_ENDPOINTS];
	struct world_endpoint resolved[MAX_TUNNELS][MAX_ENDPOINTS];
	struct wireguard_endpoint peers[MAX_TUNNELS][MAX_ENDPOINTS];
	struct config_destination destinations[MAX_DESTINATIONS];
	struct prefix lan[32];
	struct config_ports inbound[32];
	struct tf_inside_key inside[TF_MAX_INSIDE + 1];
};

static inline struct tf_name name_of(const char *text)
{
	struct tf_name name = {};

	memcpy(name.text, text, strlen(text));
	return name;
}

static inline struct tf_addr addr_of(const char *text)
{
	struct tf_addr addr = {};

	assert_int_equal(addr_parse(text, &addr, NULL), 0);
	return addr;
}

static inline struct prefix prefix_of(const char *text)
{
	struct prefix prefix = {};

	assert_int_equal(prefix_parse(text, &prefix, NULL), 0);
	return prefix;
}

static inline void fixture_add_tunnel(struct fixture *f, const char *name, const char *kind)
{
	size_t i = f->c.tunnel_count++;

	f->w.tunnel_count = f->c.tunnel_count;
	f->tunnels[i].interface = name_of(name);
	f->tunnels[i].endpoints = f->endpoints[i];
	f->seen[i].kind = name_of(kind);
	f->seen[i].resolved = f->resolved[i];
	f->seen[i].device.endpoints = f->peers[i];
	f->seen[i].answered = true;
}

/* A fence 'wg0' with the tunnel wg0 and nothing else. To be freed with free(). */
static inline struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->c.name, "wg0");
	f->c.tunnels = f->tunnels;
	f->c.lan = f->lan;
	f->c.inbound = f->inbound;
	f->c.inside = f->inside;
	f->c.destinations = f->destinations;
	f->w.tunnels = f->seen;
	f->w.netns = 4026531840U;
	f->w.groups = (struct cgroups){ .list = f->groups, .count = 1 };
	fixture_add_tunnel(f, "wg0", "wireguard");
	return f;
}

static inline void fixture_add_literal(struct fixture *f, size_t tunnel, __u8 protocol,
				       const struct tf_addr *addr, __u16 port)
{
	struct config_tunnel *t = &f->tunnels[tunnel];

	t->endpoints[t->endpoint_count++] = (struct config_endpoint){
		.protocol = protocol, .port = port, .literal = true, .addr = *addr
	};
}

static inline void fixture_add_peer(struct fixture *f, size_t tunnel, const struct tf_addr *addr,
				    __u16 port)
{
	struct wireguard_device *d = &f->seen[tunnel].device;

	d->endpoints[d->endpoint_count++] = (struct wireguard_endpoint){ *addr, tf_htons(port) };
}

static inline void fixture_add_resolved(struct fixture *f, size_t tunnel, __u8 protocol,
					const struct tf_addr *addr, __u16 port)
{
	struct world_tunnel *t = &f->seen[tunnel];

	t->resolved[t->resolved_count++] = (struct world_endpoint){
		.protocol = protocol, .port = tf_htons(port), .addr = *addr
	};
}

/* protocol -1: any. */
static inline struct config_destination *fixture_add_rule(struct fixture *f,
							  const struct prefix *prefix, int protocol,
							  __u16 from, __u16 to)
{
	struct config_destination *d = &f->destinations[f->c.destination_count++];

	*d = (struct config_destination){
		.prefix = *prefix,
		.any_protocol = protocol < 0,
		.protocol = protocol < 0 ? 0 : (__u8)protocol,
		.from = from,
		.to = to,
		.line = (unsigned int)f->c.destination_count,
	};
	return d;
}

static inline struct config_destination *fixture_allow(struct fixture *f, const char *prefix,
						       int protocol, __u16 from, __u16 to)
{
	struct prefix parsed = prefix_of(prefix);

	return fixture_add_rule(f, &parsed, protocol, from, to);
}

static inline struct policy *fixture_compile(struct fixture *f)
{
	struct policy *p = NULL;

	if (compile(&f->c, &f->w, &p, &f->e))
		fail_msg("compile: %s", f->e.text);
	assert_non_null(p);
	return p;
}

/* compile() must refuse, say so, and leave its output alone. */
static inline void fixture_refuse(struct fixture *f, int code, const char *words)
{
	struct policy untouched, *p = &untouched;

	f->e = (struct err){};
	assert_int_equal(compile(&f->c, &f->w, &p, &f->e), code);
	assert_ptr_equal(p, &untouched);
	assert_int_equal(f->e.code, code);
	if (!strstr(f->e.text, words))
		fail_msg("'%s' does not say '%s'", f->e.text, words);
}

#endif
