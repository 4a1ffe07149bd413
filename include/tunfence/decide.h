/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The verdict. This page is the promise: from the facts about one packet to PASS or DROP.
 *
 * decide() judges what leaves, decide_in() what arrives. Both are pure and total: no map, no loop,
 * no packet byte. Their whole input space is tested against tables written independently. First
 * match decides; nothing matched means DROP.
 * A zeroed decision is DROP for reason "unknown": only what is written here passes.
 */
#ifndef TUNFENCE_DECIDE_H
#define TUNFENCE_DECIDE_H

#include <tunfence/types.h>

enum tf_verdict {
	TF_DROP = 0,
	TF_PASS = 1,
};

/*
 * Every reason there is: X(NAME, name, verdict, what it says to a person).
 * Counters, status, explain, JSON and the manual are made from this list. Append only: the numbers
 * are part of the ABI.
 */
#define TF_REASONS(X)                                                                              \
	X(UNKNOWN, unknown, DROP, "no verdict was reached")                                        \
	X(OUT_OF_SCOPE, out_of_scope, PASS, "not this fence's to judge")                           \
	X(LOOPBACK, loopback, PASS, "stays on this machine")                                       \
	X(TUNNEL, tunnel, PASS, "goes by the tunnel")                                               \
	X(INSIDE, inside, PASS, "goes by an inside interface")                                      \
	X(ARP, arp, PASS, "asks or tells a neighbour's address (ARP)")                          \
	X(EAPOL, eapol, PASS, "authenticates to the link (EAPOL)")                                 \
	X(ETHERTYPE, ethertype, DROP, "is not IP, ARP or EAPOL")                                   \
	X(LINK_TYPE, link_type, DROP, "goes by a device whose frames cannot be read")              \
	X(SHORT, short, DROP, "ends before its headers do")                                        \
	X(BAD_VERSION, bad_version, DROP, "is neither IPv4 nor IPv6")                              \
	X(BAD_HEADER, bad_header, DROP, "has a header that contradicts itself")                    \
	X(EXT_CHAIN, ext_chain, DROP, "has IPv6 extension headers that cannot be followed")        \
	X(SOURCE_ROUTE, source_route, DROP, "chooses its own route")                               \
	X(TRAILER, trailer, DROP, "carries bytes after its end")                                   \
	X(BAD_FRAGMENT, bad_fragment, DROP, "is a fragment that hides its ports")                  \
	X(REWRITTEN, rewritten, DROP, "asks to be rewritten after it was judged")                  \
	X(ENDPOINT, endpoint, PASS, "is the tunnel's own outer packet")                            \
	X(FRAGMENT, fragment, PASS, "continues a datagram that passed")                            \
	X(STRAY_FRAGMENT, stray_fragment, DROP, "continues a datagram that did not pass")          \
	X(NEIGHBOUR, neighbour, PASS, "keeps the link going (ND, RS, RA, MLD)")                    \
	X(DHCP, dhcp, PASS, "asks for an address or gives one (DHCP)")                             \
	X(NAME_LOOKUP, name_lookup, DROP, "resolves names outside the tunnel")                     \
	X(DESTINATION, destination, PASS, "is for an allowed destination, or its answer")            \
	X(LAN, lan, PASS, "goes to or comes from the local network")                                \
	X(INBOUND, inbound, PASS, "is for an allowed inbound service, or its answer")              \
	X(NOT_ALLOWED, not_allowed, DROP, "is not allowed outside the tunnel")                     \
	X(FOREIGN_ARP, foreign_arp, DROP, "tells the link an address of another interface (ARP)")  \
	X(OTHER_ADDRESS, other_address, DROP, "came for an address that is not its interface's")    \
	X(REDIRECT, redirect, DROP, "tells this machine to take another route")                    \
	X(ICMP_ERROR, icmp_error, PASS, "reports an error of allowed traffic")                     \
	X(UNASKED, unasked, DROP, "came in unasked")                                               \
	X(NO_TUNNEL, no_tunnel, DROP, "cannot pass while no tunnel is up")                         \
	X(BYPASS, bypass, DROP, "would send past the wire plane")                                  \
	X(BOOTSTRAP, bootstrap, PASS, "is tunfence's own question for an endpoint, or its answer") \
	X(EXEMPT, exempt, PASS, "is an exempt program's")

enum tf_reason {
#define X(NAME, name, verdict, text) TF_REASON_##NAME,
	TF_REASONS(X)
#undef X
	TF_REASON_COUNT,
};

/* What the parser made of the bytes. Zero, never parsed, is a drop like every error. */
enum tf_parse {
	TF_PARSE_NONE = 0,
	TF_PARSE_IP,
	TF_PARSE_ARP,
	TF_PARSE_EAPOL,
	TF_PARSE_ETHERTYPE,
	TF_PARSE_LINK_TYPE,
	TF_PARSE_SHORT,
	TF_PARSE_BAD_VERSION,
	TF_PARSE_BAD_HEADER,
	TF_PARSE_EXT_CHAIN,
	TF_PARSE_SOURCE_ROUTE,
	TF_PARSE_TRAILER,
	TF_PARSE_BAD_FRAGMENT,
	TF_PARSE_REWRITTEN,
	TF_PARSE_COUNT,
};

/* What is true of one packet. It is filled in the order of the verdict's lines, up to the first fact
 * that settles it; a fact not looked into is false, which never passes anything. "Other end" is the
 * destination of what leaves, the source of what arrives. */
struct tf_facts {
	_Bool observe;         /* the fence only watches */
	_Bool out_of_scope;    /* another namespace's packet, or a socket outside the cgroup */
	_Bool loopback;        /* the device is loopback */
	_Bool tunnel;          /* the device is a tunnel: by name, kind and namespace */
	_Bool inside;          /* the device is an inside interface */
	enum tf_parse parse;
	_Bool foreign_arp;     /* leaves: tells, as the device's own, an address that is not */
	_Bool redirect;        /* arrives: asks for another route */
	_Bool other_address;   /* arrives: its destination is none of the device's */
	_Bool icmp_error;      /* arrives: all facts below are those of the packet it quotes */
	_Bool endpoint;        /* an outer packet of a tunnel, all its conditions met */
	_Bool later_fragment;  /* has no ports to judge by */
	_Bool fragment_passed; /* the first fragment of the same datagram passed */
	_Bool neighbour;       /* ND, RS, RA or MLD in its RFC's shape */
	_Bool dhcp;            /* a DHCP message where it must be going, and allowed */
	_Bool bootstrap;       /* between tunfence's own socket and the bootstrap name server */
	_Bool name_lookup;     /* to a port that resolves names; arrives: from one, too */
	_Bool exempt;          /* sent by an exempt program's socket; arrives: will be taken by one */
	_Bool destination;     /* an explicit rule allows the other end; arrives: as an answer */
	_Bool lan;             /* the other end is of a private range, and the LAN is allowed */
	_Bool inbound;         /* leaves: the answer of an allowed service; arrives: to its port */
};

struct tf_decision {
	enum tf_verdict verdict;
	enum tf_reason reason;
};

/* The verdict that belongs to each reason. Anything else is DROP. */
TF_INLINE enum tf_verdict tf_reason_verdict(enum tf_reason reason)
{
	switch (reason) {
#define X(NAME, name, verdict, text)                                                               \
	case TF_REASON_##NAME:                                                                     \
		return TF_##verdict;
		TF_REASONS(X)
#undef X
	case TF_REASON_COUNT:
		break;
	}
	return TF_DROP;
}

/* What is not an IP packet, or not one that could be followed to its transport header. */
TF_INLINE enum tf_reason tf_reason_unparsed(const struct tf_facts *f)
{
	switch (f->parse) {
	case TF_PARSE_ARP:
		return f->foreign_arp ? TF_REASON_FOREIGN_ARP : TF_REASON_ARP;
	case TF_PARSE_EAPOL:
		return TF_REASON_EAPOL;
	case TF_PARSE_ETHERTYPE:
		return TF_REASON_ETHERTYPE;
	case TF_PARSE_LINK_TYPE:
		return TF_REASON_LINK_TYPE;
	case TF_PARSE_SHORT:
		return TF_REASON_SHORT;
	case TF_PARSE_BAD_VERSION:
		return TF_REASON_BAD_VERSION;
	case TF_PARSE_BAD_HEADER:
		return TF_REASON_BAD_HEADER;
	case TF_PARSE_EXT_CHAIN:
		return TF_REASON_EXT_CHAIN;
	case TF_PARSE_SOURCE_ROUTE:
		return TF_REASON_SOURCE_ROUTE;
	case TF_PARSE_TRAILER:
		return TF_REASON_TRAILER;
	case TF_PARSE_BAD_FRAGMENT:
		return TF_REASON_BAD_FRAGMENT;
	case TF_PARSE_REWRITTEN:
		return TF_REASON_REWRITTEN;
	case TF_PARSE_NONE:
	case TF_PARSE_IP:
	case TF_PARSE_COUNT:
		break;
	}
	return TF_REASON_UNKNOWN;
}

/* The first line that matches, for a packet that leaves. */
TF_INLINE enum tf_reason tf_reason_for(const struct tf_facts *f)
{
	if (f->out_of_scope)
		return TF_REASON_OUT_OF_SCOPE;
	if (f->loopback)
		return TF_REASON_LOOPBACK;
	if (f->tunnel)
		return TF_REASON_TUNNEL;
	if (f->inside)
		return TF_REASON_INSIDE;
	if (f->parse != TF_PARSE_IP)
		return tf_reason_unparsed(f);
	if (f->endpoint)
		return TF_REASON_ENDPOINT;
	if (f->later_fragment)
		return f->fragment_passed ? TF_REASON_FRAGMENT : TF_REASON_STRAY_FRAGMENT;
	if (f->neighbour)
		return TF_REASON_NEIGHBOUR;
	if (f->dhcp)
		return TF_REASON_DHCP;
	if (f->bootstrap)
		return TF_REASON_BOOTSTRAP;
	if (f->name_lookup)
		return TF_REASON_NAME_LOOKUP;
	if (f->exempt)
		return TF_REASON_EXEMPT;
	if (f->destination)
		return TF_REASON_DESTINATION;
	if (f->lan)
		return TF_REASON_LAN;
	if (f->inbound)
		return TF_REASON_INBOUND;
	return TF_REASON_NOT_ALLOWED;
}

/* An error is worth what the packet is worth that it quotes, and nothing by itself: its sender may
 * be any router on the way. */
TF_INLINE enum tf_reason tf_reason_for_error(const struct tf_facts *f)
{
	if (f->endpoint || f->inbound)
		return TF_REASON_ICMP_ERROR;
	if (f->name_lookup)
		return TF_REASON_NAME_LOOKUP;
	if (f->exempt || f->destination || f->lan)
		return TF_REASON_ICMP_ERROR;
	return TF_REASON_UNASKED;
}

/*
 * The first line that matches, for a packet that arrives. DHCP alone may come for an address that
 * the device does not have yet. An inbound service stands before the names, whose questions it may
 * be there to answer; destinations and the LAN stand behind them, as on the way out.
 */
TF_INLINE enum tf_reason tf_reason_for_arrived(const struct tf_facts *f)
{
	if (f->out_of_scope)
		return TF_REASON_OUT_OF_SCOPE;
	if (f->loopback)
		return TF_REASON_LOOPBACK;
	if (f->tunnel)
		return TF_REASON_TUNNEL;
	if (f->inside)
		return TF_REASON_INSIDE;
	if (f->parse != TF_PARSE_IP)
		return tf_reason_unparsed(f);
	if (f->redirect)
		return TF_REASON_REDIRECT;
	if (f->dhcp)
		return TF_REASON_DHCP;
	if (f->other_address)
		return TF_REASON_OTHER_ADDRESS;
	if (f->later_fragment)
		return f->fragment_passed ? TF_REASON_FRAGMENT : TF_REASON_STRAY_FRAGMENT;
	if (f->icmp_error)
		return tf_reason_for_error(f);
	if (f->endpoint)
		return TF_REASON_ENDPOINT;
	if (f->neighbour)
		return TF_REASON_NEIGHBOUR;
	if (f->inbound)
		return TF_REASON_INBOUND;
	if (f->bootstrap)
		return TF_REASON_BOOTSTRAP;
	if (f->name_lookup)
		return TF_REASON_NAME_LOOKUP;
	if (f->exempt)
		return TF_REASON_EXEMPT;
	if (f->destination)
		return TF_REASON_DESTINATION;
	if (f->lan)
		return TF_REASON_LAN;
	return TF_REASON_UNASKED;
}

TF_INLINE struct tf_decision tf_decision_of(enum tf_reason reason, _Bool observe)
{
	struct tf_decision d = { .verdict = TF_DROP, .reason = reason };

	if (tf_reason_verdict(reason) == TF_PASS || observe)
		d.verdict = TF_PASS;
	return d;
}

TF_INLINE struct tf_decision decide(const struct tf_facts *f)
{
	return tf_decision_of(tf_reason_for(f), f->observe);
}

TF_INLINE struct tf_decision decide_in(const struct tf_facts *f)
{
	return tf_decision_of(tf_reason_for_arrived(f), f->observe);
}

#endif
