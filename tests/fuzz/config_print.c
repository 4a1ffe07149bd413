// SPDX-License-Identifier: GPL-2.0
/*
 * A configuration as text: see config_print.h. Every field of struct config is in both halves; what
 * a key has as its default is said as well.
 */
#include "fuzz/config_print.h"

#include <netinet/in.h>
#include <string.h>

#include "value.h"

/* ---- as text --------------------------------------------------------------------------------- */

static void print_groups(const struct config_group *groups, size_t count, FILE *to)
{
	for (size_t i = 0; i < count; i++)
		fprintf(to, "%s=%s\n", groups[i].unit ? "Unit" : "Cgroup",
			groups[i].unit ? groups[i].unit : groups[i].cgroup);
}

static void print_fence(const struct config *c, FILE *to)
{
	char text[ADDR_TEXT_LEN];

	fprintf(to, "[Fence]\nScope=%s\nMode=%s\n",
		c->scope == TF_SCOPE_CGROUP ? "cgroup" : "system",
		c->mode == TF_MODE_OBSERVE ? "observe" : "enforce");
	if (c->bootstrap_port)
		fprintf(to, "BootstrapDNS=%s\n",
			addr_port_format(&c->bootstrap, tf_htons(c->bootstrap_port), text));
	print_groups(c->groups, c->group_count, to);
}

static void print_endpoint(const struct config_endpoint *e, FILE *to)
{
	const char *protocol = e->protocol == IPPROTO_TCP ? "tcp" : "udp";
	char text[ADDR_TEXT_LEN];

	if (e->literal)
		fprintf(to, "Endpoint=%s %s\n", protocol,
			addr_port_format(&e->addr, tf_htons(e->port), text));
	else if (!key_is_set(&e->peer)) /* else it is the WireGuard file's */
		fprintf(to, "Endpoint=%s %s:%u\n", protocol, e->host, e->port);
}

static void print_tunnel(const struct config_tunnel *t, FILE *to)
{
	fprintf(to, "[Tunnel]\nInterface=%s\n", t->interface.text);
	if (t->kind.text[0])
		fprintf(to, "Kind=%s\n", t->kind.text);
	fprintf(to, "Protocol=%s\n", t->any_protocol ? "any" : "wireguard");
	if (t->wireguard_config)
		fprintf(to, "WireGuardConfig=%s\n", t->wireguard_config);
	if (t->listen_port)
		fprintf(to, "ListenPort=%u\n", t->listen_port);
	if (t->mark)
		fprintf(to, "FwMark=%#x\n", t->mark);
	if (t->uplink.text[0])
		fprintf(to, "Uplink=%s\n", t->uplink.text);
	for (size_t i = 0; i < t->endpoint_count; i++)
		print_endpoint(&t->endpoints[i], to);
}

static void print_destination(const struct config_destination *d, FILE *to)
{
	const char *protocol = d->any_protocol		    ? "any"
			       : d->protocol == IPPROTO_TCP ? "tcp"
			       : d->protocol == IPPROTO_UDP ? "udp"
							    : "icmp";
	char text[ADDR_TEXT_LEN];

	fprintf(to, "Destination=%s %s", protocol, prefix_format(&d->prefix, text));
	if (d->from)
		fprintf(to, " port %u-%u", d->from, d->to);
	if (d->uplink.text[0])
		fprintf(to, " uplink %s", d->uplink.text);
	fputc('\n', to);
}

static void print_allow(const struct config *c, FILE *to)
{
	char text[ADDR_TEXT_LEN], pattern[VALUE_INSIDE_LEN];

	fprintf(to, "[Allow]\nDHCP=%s\nLAN=", c->dhcp ? "yes" : "no");
	for (size_t i = 0; i < c->lan_count; i++)
		fprintf(to, "%s%s", i ? " " : "", prefix_format(&c->lan[i], text));
	fprintf(to, c->lan_count ? "\n" : "no\n");
	if (c->scope == TF_SCOPE_SYSTEM || c->inbound_accept)
		fprintf(to, "Inbound=%s\n", c->inbound_accept ? "accept" : "drop");
	for (size_t i = 0; i < c->inbound_count; i++)
		fprintf(to, "Inbound%s=%u-%u\n",
			c->inbound[i].protocol == IPPROTO_TCP ? "TCP" : "UDP", c->inbound[i].from,
			c->inbound[i].to);
	for (size_t i = 0; i < c->inside_count; i++)
		fprintf(to, "Inside=%s\n", value_inside_format(&c->inside[i], pattern));
	for (size_t i = 0; i < c->destination_count; i++)
		print_destination(&c->destinations[i], to);
}

static void print_exempt(const struct config_exempt *x, FILE *to)
{
	if (!x->any)
		return;
	fprintf(to, "[Exempt]\nDNS=%s\n", x->names ? "uplink" : "tunnel");
	if (x->mark)
		fprintf(to, "Mark=%#x\n", x->mark);
	print_groups(x->groups, x->group_count, to);
	for (size_t i = 0; i < x->user_count; i++)
		fprintf(to, "Users=%s\n", x->users[i]);
}

void config_print(const struct config *c, FILE *to)
{
	print_fence(c, to);
	for (size_t i = 0; i < c->tunnel_count; i++)
		print_tunnel(&c->tunnels[i], to);
	print_allow(c, to);
	print_exempt(&c->exempt, to);
}

/* ---- compared -------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

static bool same_name(const struct tf_name *a, const struct tf_name *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool same_groups(const struct config_group *a, size_t a_count, const struct config_group *b,
			size_t b_count)
{
	for (size_t i = 0; a_count == b_count && i < a_count; i++)
		if (!same_text(a[i].cgroup, b[i].cgroup) || !same_text(a[i].unit, b[i].unit))
			return false;
	return a_count == b_count;
}

static bool same_exempt(const struct config_exempt *a, const struct config_exempt *b)
{
	if (a->any != b->any || a->names != b->names || a->mark != b->mark ||
	    a->user_count != b->user_count)
		return false;
	for (size_t i = 0; i < a->user_count; i++)
		if (!streq(a->users[i], b->users[i]))
			return false;
	return same_groups(a->groups, a->group_count, b->groups, b->group_count);
}

/* A literal address may be written in several ways. */
static bool same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return value_endpoint_equal(a, b) && (a->literal || streq(a->host, b->host));
}

static bool same_tunnel(const struct config_tunnel *a, const struct config_tunnel *b)
{
	if (!same_name(&a->interface, &b->interface) || !same_name(&a->kind, &b->kind) ||
	    !same_name(&a->uplink, &b->uplink) || a->any_protocol != b->any_protocol ||
	    a->listen_port != b->listen_port || a->mark != b->mark ||
	    !same_text(a->wireguard_config, b->wireguard_config) ||
	    a->endpoint_count != b->endpoint_count)
		return false;
	for (size_t i = 0; i < a->endpoint_count; i++)
		if (!same_endpoint(&a->endpoints[i], &b->endpoints[i]))
			return false;
	return true;
}

static bool same_tunnels(const struct config *a, const struct config *b)
{
	for (size_t i = 0; a->tunnel_count == b->tunnel_count && i < a->tunnel_count; i++)
		if (!same_tunnel(&a->tunnels[i], &b->tunnels[i]))
			return false;
	return a->tunnel_count == b->tunnel_count;
}

static bool same_lan(const struct config *a, const struct config *b)
{
	for (size_t i = 0; a->lan_count == b->lan_count && i < a->lan_count; i++)
		if (a->lan[i].bits != b->lan[i].bits || !prefix_covers(&a->lan[i], &b->lan[i]))
			return false;
	return a->lan_count == b->lan_count;
}

static bool same_inbound(const struct config *a, const struct config *b)
{
	for (size_t i = 0; a->inbound_count == b->inbound_count && i < a->inbound_count; i++) {
		const struct config_ports *x = &a->inbound[i], *y = &b->inbound[i];

		if (x->protocol != y->protocol || x->from != y->from || x->to != y->to)
			return false;
	}
	return a->inbound_count == b->inbound_count;
}

static bool same_inside(const struct config *a, const struct config *b)
{
	return a->inside_count == b->inside_count &&
	       (!a->inside_count ||
		!memcmp(a->inside, b->inside, a->inside_count * sizeof(*a->inside)));
}

static bool same_destinations(const struct config *a, const struct config *b)
{
	for (size_t i = 0; a->destination_count == b->destination_count && i < a->destination_count;
	     i++)
		if (value_destination_compare(&a->destinations[i], &b->destinations[i]))
			return false;
	return a->destination_count == b->destination_count;
}

static bool same_fence(const struct config *a, const struct config *b)
{
	return streq(a->name, b->name) && same_text(a->path, b->path) &&
	       same_text(a->origin, b->origin) && a->scope == b->scope && a->mode == b->mode &&
	       a->bootstrap_port == b->bootstrap_port &&
	       !memcmp(&a->bootstrap, &b->bootstrap, sizeof(a->bootstrap));
}

const char *config_differ(const struct config *a, const struct config *b)
{
	if (!same_fence(a, b))
		return "[Fence]";
	if (!same_groups(a->groups, a->group_count, b->groups, b->group_count))
		return "Cgroup= and Unit=";
	if (!same_exempt(&a->exempt, &b->exempt))
		return "[Exempt]";
	if (!same_tunnels(a, b))
		return "[Tunnel]";
	if (!same_lan(a, b))
		return "LAN=";
	if (a->dhcp != b->dhcp || a->inbound_accept != b->inbound_accept || !same_inbound(a, b))
		return "DHCP= and Inbound*=";
	if (!same_inside(a, b))
		return "Inside=";
	return same_destinations(a, b) ? NULL : "Destination=";
}
