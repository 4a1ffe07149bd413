// SPDX-License-Identifier: GPL-2.0
/*
 * The guard plane's last part: sockets that send past the wire plane and were opened before the
 * fence, or were handed in from elsewhere. tunfence_opt refuses to make such; this refuses to send.
 *
 * Needs Linux 6.0 and LSM BPF live, so it is an object of its own and nothing relies on it. It
 * refuses what is surely a bypass; where it cannot be told, setsockopt() is what holds. An AF_XDP
 * socket may also be made to send by poll(), for which there is no hook.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <vmlinux.h>

#include "blocked.h"
#include "maps.h"
#include "tell.h"

enum {
	AF_PACKET = 17,
	AF_XDP = 44,
	SEND_REFUSE = 0, /* EPERM */
	SEND_ALLOW = 1,
};

/* Until 6.3; a static function, so by its name in kallsyms. Elsewhere its address is 0. */
extern const void packet_direct_xmit __ksym __weak;

static __always_inline _Bool bypasses_qdisc(const struct sock *sk)
{
	const struct packet_sock *packet = (const void *)sk;

	if (bpf_core_enum_value_exists(enum packet_sock_flags, PACKET_SOCK_QDISC_BYPASS))
		return BPF_CORE_READ(packet, flags) >>
			       bpf_core_enum_value(enum packet_sock_flags,
						   PACKET_SOCK_QDISC_BYPASS) & 1;
	if (bpf_core_field_exists(packet->xmit) && &packet_direct_xmit)
		return BPF_CORE_READ(packet, xmit) == &packet_direct_xmit;
	return 0;
}

static __always_inline _Bool is_bypass(const struct sock *sk)
{
	unsigned short family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return family == AF_XDP || (family == AF_PACKET && bypasses_qdisc(sk));
}

/* Of the program that sends now. */
static __always_inline void note(__u32 bytes)
{
	struct tf_blocked_key key = {
		.cgroup = cgroup_of_current(),
		.plane = TF_PLANE_GUARD,
		.reason = TF_REASON_BYPASS,
	};
	struct tf_blocked *entry;
	struct tf_who who = {};

	who_is_it(&who);
	set_who(&key, &who);
	if (the_policy()->mode == TF_MODE_OBSERVE)
		key.flags = TF_BLOCKED_OBSERVED;
	count_drop(TF_PLANE_GUARD, TF_REASON_BYPASS, bytes);
	entry = count_blocked(&key, who.pid, bytes);
	if (entry)
		tell(NULL, NULL, &key, entry, bytes);
}

SEC("lsm_cgroup/socket_sendmsg")
int BPF_PROG(tunfence_lsm, struct socket *socket, void *message, int bytes)
{
	if (!is_bypass(BPF_CORE_READ(socket, sk)))
		return SEND_ALLOW;
	note((__u32)bytes);
	return the_policy()->mode == TF_MODE_OBSERVE ? SEND_ALLOW : SEND_REFUSE;
}

char _license[] SEC("license") = "GPL";
