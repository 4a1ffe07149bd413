// SPDX-License-Identifier: GPL-2.0
/* What a packet may pass for: see reference.h. As plain as can be; never fast. */
#include "fuzz/reference.h"

#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "value.h"

/* What every name resolves to in the scene. */
static const char *const resolved[] = {"198.51.100.99", "2001:db8:99::1"};

/* A packet, as far as this parser could follow it. */
struct seen {
	unsigned int ethertype; /* 0: the device's frames cannot be read */
	bool ip, later, fragmented;
	struct tf_addr src, dst;
	unsigned int hop_limit, protocol;
	const __u8
		*l4; /* the transport header and what is behind it, of a packet or first fragment */
	size_t left; /* to the packet's end by its own word */
	__u16 sport, dport;
};

static unsigned int be16(const __u8 *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

static void see_ports(struct seen *p)
{
	if ((p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) && p->left >= 4) {
		p->sport = (__u16)be16(p->l4);
		p->dport = (__u16)be16(p->l4 + 2);
	}
}

static void see_ipv4(const __u8 *ip, size_t bytes, struct seen *p)
{
	size_t header, total;

	if (bytes < 20)
		return;
	header = (ip[0] & 15U) * 4;
	total = be16(ip + 2) ? be16(ip + 2) : bytes; /* a super-packet's may not fit */
	if (header < 20 || total < header || total > bytes)
		return;
	p->ip = true;
	p->hop_limit = ip[8];
	p->protocol = ip[9];
	p->fragmented = be16(ip + 6) & 0x3fff;
	p->later = be16(ip + 6) & 0x1fff;
	tf_addr_set_v4(&p->src, ip + 12);
	tf_addr_set_v4(&p->dst, ip + 16);
	p->l4 = ip + header;
	p->left = total - header;
}

/* The length of this extension header; 0: it is none, so the transport header is reached. */
static size_t extension(unsigned int type, const __u8 *at)
{
	switch (type) {
	case 0:
	case 43:
	case 60:
		return (at[1] + 1U) * 8;
	case 44:
		return 8;
	case 51:
		return (at[1] + 2U) * 4;
	default:
		return 0;
	}
}

static void see_ipv6(const __u8 *ip, size_t bytes, struct seen *p)
{
	size_t at = 40, end, step;
	unsigned int next;

	if (bytes < 40)
		return;
	next = ip[6];
	end = be16(ip + 4) ? 40 + be16(ip + 4) : bytes;
	if (end > bytes)
		return;
	while (at + 8 <= end && (step = extension(next, ip + at))) {
		if (next == 44) {
			p->fragmented = true;
			p->later = be16(ip + at + 2) & 0xfff8;
		}
		next = ip[at];
		at += step;
		if (p->later)
			break;
	}
	if (at > end)
		return;
	p->ip = true;
	p->hop_limit = ip[7];
	p->protocol = next;
	memcpy(&p->src, ip + 8, 16);
	memcpy(&p->dst, ip + 24, 16);
	p->l4 = ip + at;
	p->left = end - at;
}

static bool is_tag(unsigned int ethertype)
{
	return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

static struct seen see(const struct scene_shot *s)
{
	struct seen p = {};
	const __u8 *at = s->frame;
	size_t left = s->bytes;
	bool ethernet = s->device->link == TF_LINK_ETHERNET;

	if (s->plane == TF_PLANE_SOCKET || s->plane == TF_PLANE_NAMESPACE)
		ethernet = false;
	else if (s->device->link == TF_LINK_UNKNOWN)
		return p;
	if (ethernet) {
		if (left < 14)
			return p;
		p.ethertype = be16(at + 12);
		at += 14;
		left -= 14;
		while (is_tag(p.ethertype) && left >= 4) {
			p.ethertype = be16(at + 2);
			at += 4;
			left -= 4;
		}
	} else if (left) {
		p.ethertype = at[0] >> 4 == 6 ? 0x86dd : 0x0800;
	}
	if (p.ethertype == 0x0800)
		see_ipv4(at, left, &p);
	if (p.ethertype == 0x86dd)
		see_ipv6(at, left, &p);
	if (p.ip && !p.later)
		see_ports(&p);
	return p;
}

static bool is_v4(const struct tf_addr *a)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(a->byte, mapped, sizeof(mapped));
}

static bool same_addr(const struct tf_addr *a, const struct tf_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool is_name_port(unsigned int port)
{
	return port == 53 || port == 853 || port == 5353 || port == 5355 || port == 137;
}

static bool is_syn(const struct seen *p)
{
	return p->protocol == IPPROTO_TCP && p->left >= 14 && (p->l4[13] & 0x12) == 0x02;
}

/* The end of the packet that is not this machine's, and the ports as it sees them. */
struct ends {
	const struct tf_addr *other;
	__u16 other_port, own_port;
};

static struct ends ends_of(const struct scene_shot *s, const struct seen *p)
{
	if (s->plane == TF_PLANE_INGRESS)
		return (struct ends){&p->src, p->sport, p->dport};
	return (struct ends){&p->dst, p->dport, p->sport};
}

static bool is_at(const struct config_endpoint *endpoint, const struct seen *p,
		  const struct ends *ends)
{
	struct tf_addr addr;

	if (endpoint->protocol != p->protocol || endpoint->port != ends->other_port)
		return false;
	if (endpoint->literal)
		return same_addr(&endpoint->addr, ends->other);
	for (size_t i = 0; i < ARRAY_SIZE(resolved); i++)
		if (addr_parse(resolved[i], &addr, NULL) == 0 && same_addr(&addr, ends->other))
			return true;
	return false;
}

/* One of WireGuard's four messages: its type, three zero bytes, and a length that it can have. */
static bool is_wireguard(const struct scene_shot *s, const struct seen *p)
{
	size_t bytes;

	if (p->protocol != IPPROTO_UDP || p->left < 12 || p->l4[9] || p->l4[10] || p->l4[11])
		return false;
	bytes = s->gso_size ? s->gso_size : be16(p->l4 + 4) - 8U;
	return (p->l4[8] == 1 && bytes == 148) || (p->l4[8] == 2 && bytes == 92) ||
	       (p->l4[8] == 3 && bytes == 64) || (p->l4[8] == 4 && bytes >= 32);
}

static bool may_send_outer(const struct scene_shot *s, const struct config_tunnel *t)
{
	if (s->plane == TF_PLANE_INGRESS)
		return true;
	if (!streq(t->kind.text, "wireguard"))
		return s->owner == TF_OWNER_INET;
	return s->plane != TF_PLANE_SOCKET &&
	       (s->owner == TF_OWNER_KERNEL || s->owner == TF_OWNER_INET ||
		s->owner == TF_OWNER_RAW || s->owner == TF_OWNER_WRAPPED);
}

static bool is_outer_of(const struct scene_shot *s, const struct seen *p, const struct ends *ends,
			const struct config_tunnel *t)
{
	if (t->listen_port && t->listen_port != ends->own_port)
		return false;
	if (t->mark && s->plane != TF_PLANE_INGRESS && t->mark != s->mark)
		return false;
	if (t->uplink.text[0] && !streq(t->uplink.text, s->device->name))
		return false;
	if (!may_send_outer(s, t) || (!t->any_protocol && !is_wireguard(s, p)))
		return false;
	for (size_t i = 0; i < t->endpoint_count; i++)
		if (is_at(&t->endpoints[i], p, ends))
			return true;
	return false;
}

static bool is_endpoint(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	struct ends ends = ends_of(s, p);

	if (!p->ip || p->later || (s->forwarded && s->plane != TF_PLANE_INGRESS))
		return false;
	if (s->plane == TF_PLANE_INGRESS && is_syn(p))
		return false;
	for (size_t i = 0; i < c->tunnel_count; i++)
		if (is_outer_of(s, p, &ends, &c->tunnels[i]))
			return true;
	return false;
}

static bool is_tunnel(const struct scene_shot *s, const struct config *c)
{
	for (size_t i = 0; i < c->tunnel_count; i++)
		if (!s->foreign && streq(c->tunnels[i].interface.text, s->device->name) &&
		    streq(c->tunnels[i].kind.text, SCENE_KIND))
			return true;
	return false;
}

static bool is_inside(const struct scene_shot *s, const struct config *c)
{
	char pattern[VALUE_INSIDE_LEN];

	for (size_t i = 0; !s->foreign && i < c->inside_count; i++) {
		size_t length = strlen(value_inside_format(&c->inside[i], pattern));

		if (streq(pattern, s->device->name) ||
		    (pattern[length - 1] == '*' && !strncmp(pattern, s->device->name, length - 1)))
			return true;
	}
	return false;
}

static bool is_out_of_scope(const struct scene_shot *s, const struct config *c)
{
	if (c->scope == TF_SCOPE_CGROUP)
		return s->plane == TF_PLANE_INGRESS || (s->plane != TF_PLANE_SOCKET && s->outside);
	return s->plane == TF_PLANE_SOCKET && s->foreign;
}

static bool is_neighbour(const struct seen *p)
{
	if (!p->ip || p->fragmented || p->protocol != IPPROTO_ICMPV6 || is_v4(&p->dst) ||
	    p->left < 8 || p->l4[1])
		return false;
	if (p->l4[0] >= 133 && p->l4[0] <= 136) /* routers and neighbours */
		return p->hop_limit == 255;
	return p->hop_limit == 1 && (p->l4[0] == 143 || (p->l4[0] >= 130 && p->l4[0] <= 132));
}

static bool is_dhcp(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	struct ends ends = ends_of(s, p);

	if (!c->dhcp || !p->ip || p->fragmented || p->protocol != IPPROTO_UDP)
		return false;
	return is_v4(&p->dst) ? ends.own_port == 68 && ends.other_port == 67
			      : ends.own_port == 546 && ends.other_port == 547;
}

static bool is_bootstrap(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	struct ends ends = ends_of(s, p);
	bool asked = s->question == VECTOR_OWN ||
		     (s->plane == TF_PLANE_INGRESS && s->question == VECTOR_OTHER);

	return asked && p->ip && !p->fragmented && p->protocol == IPPROTO_UDP &&
	       c->bootstrap_port && ends.other_port == c->bootstrap_port &&
	       ends.own_port == VECTOR_ASKS_FROM && same_addr(ends.other, &c->bootstrap);
}

/* Resolves names past the tunnel: whatever stands below it in the verdict must not pass. */
static bool is_name_lookup(const struct scene_shot *s, const struct seen *p)
{
	return is_name_port(p->dport) || (s->plane == TF_PLANE_INGRESS && is_name_port(p->sport));
}

static bool is_exempt(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	return c->exempt.any && s->exempt && p->ip && !p->later &&
	       (c->exempt.names || !is_name_lookup(s, p)) &&
	       (s->plane == TF_PLANE_INGRESS ||
		(!s->forwarded && s->owner != TF_OWNER_FOREIGN && s->owner != TF_OWNER_KERNEL));
}

static bool is_destination(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	struct ends ends = ends_of(s, p);

	if (!p->ip || p->later || is_name_lookup(s, p))
		return false;
	for (size_t i = 0; i < c->destination_count; i++) {
		const struct config_destination *d = &c->destinations[i];

		if (prefix_contains(&d->prefix, ends.other) &&
		    (d->any_protocol || d->protocol == p->protocol) && ends.other_port >= d->from &&
		    ends.other_port <= d->to &&
		    (!d->uplink.text[0] || streq(d->uplink.text, s->device->name)))
			return true;
	}
	return false;
}

static bool is_private(const struct tf_addr *a)
{
	const __u8 *v4 = a->byte + 12;

	if (!is_v4(a))
		return (a->byte[0] & 0xfe) == 0xfc ||
		       (a->byte[0] == 0xfe && (a->byte[1] & 0xc0) == 0x80);
	return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
	       (v4[0] == 192 && v4[1] == 168) || (v4[0] == 169 && v4[1] == 254);
}

static bool is_lan(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	struct ends ends = ends_of(s, p);

	if (!p->ip || p->later || is_name_lookup(s, p) || !is_private(ends.other))
		return false;
	for (size_t i = 0; i < c->lan_count; i++)
		if (prefix_contains(&c->lan[i], ends.other))
			return true;
	return false;
}

/* What arrives may be a question to it; what leaves is never one. */
static bool is_inbound(const struct scene_shot *s, const struct config *c, const struct seen *p)
{
	struct ends ends = ends_of(s, p);

	if (!p->ip || p->later)
		return false;
	if (s->plane != TF_PLANE_INGRESS && (s->forwarded || is_syn(p) || is_name_lookup(s, p)))
		return false;
	for (size_t i = 0; i < c->inbound_count; i++)
		if (c->inbound[i].protocol == p->protocol && ends.own_port >= c->inbound[i].from &&
		    ends.own_port <= c->inbound[i].to)
			return true;
	return false;
}

/* Who is sent the error must have sent what it quotes. */
static bool is_icmp_error(const struct scene_shot *s, const struct seen *p)
{
	const __u8 *quote = p->l4 + 8;

	if (s->plane != TF_PLANE_INGRESS || !p->ip || p->fragmented || p->left < 8 + 20 + 8)
		return false;
	if (is_v4(&p->dst))
		return p->protocol == IPPROTO_ICMP &&
		       (p->l4[0] == 3 || p->l4[0] == 11 || p->l4[0] == 12) && quote[0] == 0x45 &&
		       !memcmp(quote + 12, p->dst.byte + 12, 4);
	return p->protocol == IPPROTO_ICMPV6 && p->l4[0] >= 1 && p->l4[0] <= 4 &&
	       p->left >= 8 + 40 + 8 && quote[0] >> 4 == 6 && !memcmp(quote + 8, p->dst.byte, 16);
}

static bool may_pass(const struct scene_shot *s, const struct config *c, const struct seen *p,
		     enum tf_reason reason, bool remembers)
{
	switch ((unsigned int)reason) { /* those that pass; the others never do */
	case TF_REASON_OUT_OF_SCOPE:
		return is_out_of_scope(s, c);
	case TF_REASON_LOOPBACK:
		return streq(s->device->name, "lo");
	case TF_REASON_TUNNEL:
		return is_tunnel(s, c);
	case TF_REASON_INSIDE:
		return is_inside(s, c);
	case TF_REASON_ARP:
		return p->ethertype == 0x0806;
	case TF_REASON_EAPOL:
		return p->ethertype == 0x888e;
	case TF_REASON_ENDPOINT:
		return is_endpoint(s, c, p);
	case TF_REASON_FRAGMENT:
		return p->ip && p->later && remembers;
	case TF_REASON_NEIGHBOUR:
		return is_neighbour(p) && (!s->forwarded || s->plane == TF_PLANE_INGRESS);
	case TF_REASON_DHCP:
		return is_dhcp(s, c, p);
	case TF_REASON_BOOTSTRAP:
		return is_bootstrap(s, c, p);
	case TF_REASON_EXEMPT:
		return is_exempt(s, c, p);
	case TF_REASON_DESTINATION:
		return is_destination(s, c, p);
	case TF_REASON_LAN:
		return is_lan(s, c, p);
	case TF_REASON_INBOUND:
		return is_inbound(s, c, p);
	case TF_REASON_ICMP_ERROR:
		return is_icmp_error(s, p);
	default:
		return false;
	}
}

/* What is not the device's doing passes for what its bytes say, so nobody may change them. */
static bool is_of_device(enum tf_reason reason)
{
	return reason == TF_REASON_OUT_OF_SCOPE || reason == TF_REASON_LOOPBACK ||
	       reason == TF_REASON_TUNNEL || reason == TF_REASON_INSIDE;
}

const char *reference_objects(const struct scene_shot *s, const struct config *c,
			      enum tf_reason reason, bool remembers)
{
	struct seen p = see(s);

	if (s->shared && !is_of_device(reason))
		return "its sender can still change it";
	if (!may_pass(s, c, &p, reason, remembers))
		return "nothing in the configuration and the packet allows it";
	return NULL;
}
