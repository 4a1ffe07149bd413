// SPDX-License-Identifier: GPL-2.0
/*
 * Destination= and LAN= -> prefixes and services, such that the longest prefix alone decides.
 *
 * The sorted prefixes are walked with a stack of those around the current one. Each is put below
 * its parent once: equal runs are one object, and what became of a pair is remembered.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* tdestroy() */
#endif
#include <errno.h>
#include <search.h>
#include <stdint.h>

#include "compile_parts.h"
#include "services.h"
#include "util.h"

static const struct limit limit_uplinks = {
	"TF_MAX_UPLINKS", TF_MAX_UPLINKS, "uplinks", "name fewer in Destination="
};
static const struct limit limit_prefixes = {
	"TF_MAX_PREFIXES", TF_MAX_PREFIXES, "prefixes",
	"drop some Destination= lines or LAN= ranges"
};
static const struct limit limit_services = {
	"TF_MAX_SERVICES", TF_MAX_SERVICES, "port ranges once nested prefixes are flattened",
	"drop some port ranges or nested prefixes from Destination="
};

/* 0.0.0.0/0 */
static const struct prefix all_ipv4 = {
	.addr.byte = { [10] = 0xff, 0xff }, .bits = TF_V4_MAPPED_PREFIX
};

static int uplink_compare(const void *a, const void *b)
{
	const struct policy_uplink *x = a, *y = b;

	return name_compare(&x->name, &y->name);
}

int compile_uplinks(const struct config *c, struct policy *p, struct err *e)
{
	struct policy_uplink *u = compile_alloc(c->destination_count, sizeof(*u));
	size_t i, count = 0;

	p->uplinks = u;
	if (!u)
		return compile_nomem(e);
	for (i = 0; i < c->destination_count; i++) {
		if (!name_empty(&c->destinations[i].uplink))
			u[count++].name = c->destinations[i].uplink;
	}
	qsort(u, count, sizeof(*u), uplink_compare);
	for (i = 0; i < count; i++) {
		if (!p->uplink_count || uplink_compare(&u[p->uplink_count - 1], &u[i]))
			u[p->uplink_count++].name = u[i].name;
	}
	for (i = 0; i < p->uplink_count; i++)
		u[i].value.number = (__u32)i;
	return compile_fits(&limit_uplinks, p->uplink_count, e);
}

static __u64 uplink_mask(const struct policy *p, const struct tf_name *name)
{
	struct policy_uplink key = { .name = *name };
	const struct policy_uplink *found;

	if (name_empty(name))
		return TF_ANY_UPLINK;
	found = bsearch(&key, p->uplinks, p->uplink_count, sizeof(key), uplink_compare);
	return found ? 1ULL << found->value.number : 0;
}

/* One line of the configuration that speaks of a prefix. */
struct rule {
	struct prefix prefix;
	struct tf_service service; /* if allows */
	bool allows;
	bool lan;
};

/* Bits that do not count are zero, so that equal prefixes are equal bytes. */
static struct prefix prefix_trim(const struct prefix *prefix)
{
	struct prefix trimmed = { .bits = prefix->bits };
	unsigned int i;

	for (i = 0; i < prefix->bits / 8; i++)
		trimmed.addr.byte[i] = prefix->addr.byte[i];
	if (prefix->bits % 8)
		trimmed.addr.byte[i] = prefix->addr.byte[i] & (__u8)(0xff00 >> prefix->bits % 8);
	return trimmed;
}

/* As the longest-prefix match sees it: ::/0 spans every IPv4 address in its v4-mapped form. Whoever
 * wrote ::/0 meant IPv6, and so does prefix_covers(). */
static bool prefix_spans(const struct prefix *outer, const struct prefix *inner)
{
	struct prefix cut = { .addr = inner->addr, .bits = outer->bits };

	cut = prefix_trim(&cut);
	return outer->bits <= inner->bits && !memcmp(&cut.addr, &outer->addr, sizeof(cut.addr));
}

/* A child that was put below a parent before: what came of it. */
struct inherited {
	const struct services *outer;
	const struct services *own;
	struct services *result;
};

static int inherited_compare(const void *a, const void *b)
{
	const struct inherited *x = a, *y = b;

	if (x->outer != y->outer)
		return (uintptr_t)x->outer < (uintptr_t)y->outer ? -1 : 1;
	if (x->own != y->own)
		return (uintptr_t)x->own < (uintptr_t)y->own ? -1 : 1;
	return 0;
}

/* A prefix with all it inherited. */
struct node {
	struct prefix prefix;
	struct services *run;
	struct policy_prefix *entry; /* of the policy */
	bool lan;
};

struct tables {
	struct policy *policy;
	void *runs;      /* tree of struct services, each distinct run once */
	void *inherited; /* tree of struct inherited */
	struct node stack[129]; /* the prefixes around the current one, each longer than the last */
	size_t depth;
};

static void tables_cleanup(struct tables *t)
{
	tdestroy(t->runs, free);
	tdestroy(t->inherited, free);
}

/* Takes run (NULL: out of memory) and returns the one like it. */
static struct services *tables_intern(struct tables *t, struct services *run)
{
	struct services **found;

	if (!run)
		return NULL;
	found = tsearch(run, &t->runs, services_compare);
	if (found && *found == run)
		return run;
	free(run);
	return found ? *found : NULL;
}

/* own, put below outer. NULL: out of memory. */
static struct services *tables_inherit(struct tables *t, struct services *outer,
				       struct services *own)
{
	struct inherited *entry, **found;

	if (services_covers(outer, own))
		return outer;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return NULL;
	*entry = (struct inherited){ .outer = outer, .own = own };
	found = tsearch(entry, &t->inherited, inherited_compare);
	if (!found || *found != entry)
		free(entry);
	if (!found)
		return NULL;
	if (!(*found)->result)
		(*found)->result = tables_intern(t, services_union(outer, own));
	return (*found)->result;
}

/* The longest prefix around this one, which is no leaf then; NULL: none. ::/0 stays on the stack for the
 * IPv6 prefixes behind the IPv4 ones, but those inherit nothing from it. */
static const struct node *tables_enter(struct tables *t, const struct prefix *prefix)
{
	const struct node *top;

	while (t->depth && !prefix_spans(&t->stack[t->depth - 1].prefix, prefix))
		t->depth--;
	if (!t->depth)
		return NULL;
	top = &t->stack[t->depth - 1];
	top->entry->value.leaf = 0;
	return prefix_covers(&top->prefix, prefix) ? top : NULL;
}

/* Appends a run to the services unless it is there already. */
static int tables_place(struct tables *t, struct services *run, struct err *e)
{
	struct policy *p = t->policy;

	if (!run->count || run->first != SERVICES_NOT_PLACED)
		return 0;
	if (compile_fits(&limit_services, p->service_count + run->count, e))
		return -E2BIG;
	memcpy(p->services + p->service_count, run->item,
	       run->count * sizeof(run->item[0]));
	run->first = (__u32)p->service_count;
	p->service_count += run->count;
	return 0;
}

static struct services *services_of_rules(const struct rule *rules, size_t count)
{
	_cleanup_free_ struct services *a = NULL;
	_cleanup_free_ struct services *b = NULL;

	if (count == 1) {
		a = services_new(1);
		if (a && rules->allows)
			services_append(a, rules->service.from, rules->service.to,
				   rules->service.uplinks);
		return TAKE_PTR(a);
	}
	a = services_of_rules(rules, count / 2);
	b = services_of_rules(rules + count / 2, count - count / 2);
	return a && b ? services_union(a, b) : NULL;
}

/* One prefix, which all these rules are about. */
static int tables_add(struct tables *t, const struct rule *rules, size_t count, struct err *e)
{
	const struct node *outer = tables_enter(t, &rules->prefix);
	struct node node = { .prefix = rules->prefix, .lan = outer && outer->lan };
	struct policy_prefix *to;
	size_t i;
	int r;

	node.run = tables_intern(t, services_of_rules(rules, count));
	if (node.run && outer)
		node.run = tables_inherit(t, outer->run, node.run);
	if (!node.run)
		return compile_nomem(e);
	for (i = 0; i < count; i++)
		node.lan |= rules[i].lan;
	r = tables_place(t, node.run, e);
	if (r)
		return r;

	node.entry = to = &t->policy->prefixes[t->policy->prefix_count++];
	to->key.bits = node.prefix.bits;
	to->key.addr = node.prefix.addr;
	to->value.first = node.run->count ? node.run->first : 0;
	to->value.count = node.run->count;
	to->value.lan = node.lan;
	to->value.leaf = 1;
	t->stack[t->depth++] = node;
	return 0;
}

static struct rule rule_of_destination(const struct policy *p, const struct config_destination *d)
{
	struct rule rule = { .prefix = prefix_trim(&d->prefix), .allows = true };

	rule.service.uplinks = uplink_mask(p, &d->uplink);
	rule.service.to = SERVICES_LAST_POINT;
	if (d->any_protocol)
		return rule;
	rule.service.from = tf_service_point(d->protocol, d->from);
	rule.service.to = tf_service_point(d->protocol, d->to);
	return rule;
}

static int rule_compare(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;
	int order = memcmp(&x->prefix.addr, &y->prefix.addr, sizeof(x->prefix.addr));

	if (order)
		return order;
	return (x->prefix.bits > y->prefix.bits) - (x->prefix.bits < y->prefix.bits);
}

/* Sorted, a prefix before those inside it. rules has room for one more than the configuration
 * holds: an IPv6 prefix so short that the longest match would find it for IPv4 gets an empty
 * 0.0.0.0/0 below it. */
static size_t collect_rules(const struct config *c, const struct policy *p, struct rule *rules)
{
	bool around_ipv4 = false;
	size_t i, count = 0;

	for (i = 0; i < c->destination_count; i++)
		rules[count++] = rule_of_destination(p, &c->destinations[i]);
	for (i = 0; i < c->lan_count; i++)
		rules[count++] = (struct rule){ .prefix = prefix_trim(&c->lan[i]), .lan = true };
	for (i = 0; i < count && !around_ipv4; i++)
		around_ipv4 = rules[i].prefix.bits < all_ipv4.bits &&
			      prefix_spans(&rules[i].prefix, &all_ipv4);
	if (around_ipv4)
		rules[count++] = (struct rule){ .prefix = all_ipv4 };
	qsort(rules, count, sizeof(*rules), rule_compare);
	return count;
}

/* Gives back what the limit had reserved. */
static int services_shrink(struct policy *p, struct err *e)
{
	size_t count = p->service_count ? p->service_count : 1;
	struct tf_service *shrunk = realloc(p->services, count * sizeof(*shrunk));

	if (!shrunk)
		return compile_nomem(e);
	p->services = shrunk;
	return 0;
}

static size_t count_prefixes(const struct rule *rules, size_t count)
{
	size_t i, distinct = count > 0;

	for (i = 1; i < count; i++)
		distinct += rule_compare(&rules[i - 1], &rules[i]) != 0;
	return distinct;
}

int compile_prefixes(const struct config *c, struct policy *p, struct err *e)
{
	_cleanup_free_ struct rule *rules =
		compile_alloc(c->destination_count + c->lan_count + 1, sizeof(*rules));
	_cleanup_(tables_cleanup) struct tables t = { .policy = p };
	size_t i, same, count, distinct;
	int r;

	if (!rules)
		return compile_nomem(e);
	count = collect_rules(c, p, rules);
	distinct = count_prefixes(rules, count);
	r = compile_fits(&limit_prefixes, distinct, e);
	if (r)
		return r;

	p->prefixes = compile_alloc(distinct, sizeof(*p->prefixes));
	p->services = compile_alloc(TF_MAX_SERVICES, sizeof(*p->services));
	if (!p->prefixes || !p->services)
		return compile_nomem(e);
	for (i = 0; i < count; i += same) {
		for (same = 1; i + same < count; same++) {
			if (rule_compare(&rules[i], &rules[i + same]))
				break;
		}
		r = tables_add(&t, &rules[i], same, e);
		if (r)
			return r;
	}
	return services_shrink(p, e);
}
