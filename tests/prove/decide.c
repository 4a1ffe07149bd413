// SPDX-License-Identifier: GPL-2.0
/*
 * decide() and decide_in(), for whatever may be true of a packet. The theorem: enforcing, not out of
 * scope, not loopback, not tunnel, not inside, no allowing fact: DROP. It is written as what a PASS
 * needs, so that a new way to pass breaks it.
 */
#include <assert.h>
#include <string.h> /* the core's own are builtins */

#include <tunfence/decide.h>

_Bool nondet_truth(void);
int nondet_int(void);

static struct tf_facts any_facts(void)
{
	struct tf_facts f = {
		.observe = nondet_truth(),
		.out_of_scope = nondet_truth(),
		.loopback = nondet_truth(),
		.tunnel = nondet_truth(),
		.inside = nondet_truth(),
		.parse = (enum tf_parse)nondet_int(),
		.foreign_arp = nondet_truth(),
		.redirect = nondet_truth(),
		.other_address = nondet_truth(),
		.icmp_error = nondet_truth(),
		.endpoint = nondet_truth(),
		.later_fragment = nondet_truth(),
		.fragment_passed = nondet_truth(),
		.neighbour = nondet_truth(),
		.dhcp = nondet_truth(),
		.bootstrap = nondet_truth(),
		.name_lookup = nondet_truth(),
		.exempt = nondet_truth(),
		.destination = nondet_truth(),
		.lan = nondet_truth(),
		.inbound = nondet_truth(),
	};

	return f;
}

/* By its device alone. */
static _Bool is_free(const struct tf_facts *f)
{
	return f->out_of_scope || f->loopback || f->tunnel || f->inside;
}

/* Not IP, and a link cannot be without it. */
static _Bool is_link(const struct tf_facts *f)
{
	return (f->parse == TF_PARSE_ARP && !f->foreign_arp) || f->parse == TF_PARSE_EAPOL;
}

/* By a rule; never to where names are resolved. */
static _Bool is_ruled(const struct tf_facts *f)
{
	return !f->name_lookup && (f->exempt || f->destination || f->lan);
}

static _Bool may_leave(const struct tf_facts *f)
{
	if (is_free(f) || is_link(f))
		return 1;
	if (f->parse != TF_PARSE_IP)
		return 0;
	if (f->endpoint)
		return 1;
	if (f->later_fragment)
		return f->fragment_passed;
	return f->neighbour || f->dhcp || f->bootstrap || is_ruled(f) ||
	       (f->inbound && !f->name_lookup);
}

static _Bool may_arrive(const struct tf_facts *f)
{
	if (is_free(f) || is_link(f))
		return 1;
	if (f->parse != TF_PARSE_IP || f->redirect)
		return 0;
	if (f->dhcp)
		return 1;
	if (f->other_address)
		return 0;
	if (f->later_fragment)
		return f->fragment_passed;
	return f->endpoint || f->inbound || is_ruled(f) ||
	       (!f->icmp_error && (f->neighbour || f->bootstrap));
}

void prove_decide(void)
{
	struct tf_facts f = any_facts(), nothing = {};
	struct tf_decision d = decide(&f), in = decide_in(&f);

	assert(d.reason < TF_REASON_COUNT && in.reason < TF_REASON_COUNT);
	if (f.observe) {
		assert(d.verdict == TF_PASS && in.verdict == TF_PASS);
		return;
	}
	assert(d.verdict == (may_leave(&f) ? TF_PASS : TF_DROP));
	assert(in.verdict == (may_arrive(&f) ? TF_PASS : TF_DROP));
	assert(d.verdict == tf_reason_verdict(d.reason));
	assert(in.verdict == tf_reason_verdict(in.reason));
	assert(decide(&nothing).verdict == TF_DROP && decide_in(&nothing).verdict == TF_DROP);
}
