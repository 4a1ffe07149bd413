/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The three functions in their order: parse, classify, decide. The same for every plane, in the
 * kernel and natively.
 */
#ifndef TUNFENCE_JUDGE_H
#define TUNFENCE_JUDGE_H

#include <tunfence/decide.h>
#include <tunfence/facts.h>
#include <tunfence/packet.h>
#include <tunfence/policy.h>
#include <tunfence/seam.h>

/* meta.device is filled here. A packet of the socket plane begins with its IP header. */
TF_INLINE struct tf_decision tf_judge(tf_ctx *ctx, const struct tf_policy *policy,
				      struct tf_meta *meta)
{
	struct tf_facts facts = {};
	struct tf_packet packet = {};
	struct tf_decision decision;
	enum tf_link_header link;

	if (tf_classify_device(ctx, policy, meta, &facts))
		return decide(&facts);

	link = meta->plane == TF_PLANE_SOCKET ? TF_LINK_NONE :
						(enum tf_link_header)meta->device.link_header;
	facts.parse = tf_parse_frame(ctx, link, meta->bytes, meta->gso_size != 0, &packet);
	if (facts.parse == TF_PARSE_IP)
		tf_classify_packet(ctx, policy, meta, &packet, &facts);
	decision = decide(&facts);

	/* What follows the first fragment passes with it: only if that passed on its own merit. */
	if (packet.fragment == TF_FRAGMENT_FIRST &&
	    tf_reason_verdict(decision.reason) == TF_PASS) {
		struct tf_fragment_key key = tf_fragment_key_of(meta, &packet);

		tf_remember_fragment(ctx, &key);
	}
	return decision;
}

#endif
