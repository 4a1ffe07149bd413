// SPDX-License-Identifier: GPL-2.0
/*
 * The parser, for every packet of up to 128 bytes: it ends, reads nothing outside the packet, no
 * number overflows, and what it says of an IP packet lies in it. That nothing outside the packet is
 * read, and that no loop goes on longer than the bounds it is given, the prover asserts by itself.
 */
#include "prove/world.h"

#include <tunfence/packet.h>

void prove_parser(void)
{
	struct frame frame = nondet_frame();
	struct native n = { .frame = frame.byte, .bytes = nondet_number() };
	enum tf_link_header link = (enum tf_link_header)nondet_byte();
	bool gso = nondet_byte() != 0;
	struct tf_packet p = {};
	enum tf_parse parse;

	__CPROVER_assume(n.bytes <= PROVE_BYTES);
	parse = tf_parse_frame(&n, link, n.bytes, gso, &p);

	assert(parse > TF_PARSE_NONE && parse < TF_PARSE_COUNT);
	if (parse != TF_PARSE_IP)
		return;
	assert(p.l3_offset <= TF_ETH_HEADER + TF_MAX_VLAN_TAGS * TF_VLAN_TAG);
	assert(p.l3_offset < p.l4_offset && p.l4_offset <= n.bytes);
	assert(p.fragment <= TF_FRAGMENT_LATER);
	if (p.fragment == TF_FRAGMENT_NONE)
		assert(p.l4_offset + p.l4_bytes <= n.bytes);
	if (p.protocol != TF_PROTO_UDP && p.protocol != TF_PROTO_TCP)
		assert(!p.sport && !p.dport);
	if (p.fragment == TF_FRAGMENT_LATER)
		assert(!p.sport && !p.dport && !p.has_payload);
}
