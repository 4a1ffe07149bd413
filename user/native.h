/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The verdict outside the kernel: the same tf_judge(), its seams answered from memory. Lookups go
 * through a table of functions: over a compiled policy (policy_tables: tests, the SSH check) or
 * over a running fence's maps (maps_tables: explain).
 */
#ifndef TUNFENCE_NATIVE_H
#define TUNFENCE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/decide.h>
#include <tunfence/facts.h>
#include <tunfence/seam.h>

/* One of the device's addresses. */
struct native_address {
	struct tf_addr addr;
	enum tf_whose whose;
};

/* Lookups; data is struct native's. NULL or false: not there. */
struct native_tables {
	const struct tf_endpoint *(*endpoint)(struct native *n, const struct tf_endpoint_key *key);
	const struct tf_endpoint *(*live)(struct native *n, const struct tf_endpoint_key *key);
	const struct tf_prefix *(*prefix)(struct native *n, const struct tf_prefix_key *key);
	const struct tf_service *(*service)(struct native *n, __u32 index);
	const struct tf_uplink *(*uplink)(struct native *n, const struct tf_name *name);
	bool (*inside)(struct native *n, const struct tf_inside_key *key);
	bool (*inbound)(struct native *n, const struct tf_inbound_key *key);
};

/* One packet and all that the hook would know of it. */
struct native {
	const __u8 *frame;
	__u32 bytes;
	struct tf_device device;
	struct tf_name kind;
	const struct native_address *addresses;
	size_t address_count;
	__u8 mac[6];
	bool relayed;         /* see tf_is_relayed() */
	enum tf_owner owner;
	const struct tf_policy *policy; /* filled by native_judge() */
	struct tf_offload offload;
	bool shared;          /* see tf_is_shared() */
	bool in_cgroup;
	bool exempt;          /* its socket, or the one it arrives for, is of an exempt group */
	struct tf_question question; /* that stands; zeroed: none does */
	__u64 now;
	__u64 cookie;         /* of the socket that sends it */
	bool fragment_passed; /* what the memory of first fragments would say */
	bool exempt_passed;   /* and of those that passed for their sender's sake */
	bool remembered;      /* out: a first fragment was to be remembered */
	bool remembered_exempt;
	const struct native_tables *tables;
	const void *data;     /* struct policy or struct maps */
	union {               /* room for the answer of the last lookup */
		struct tf_endpoint endpoint;
		struct tf_prefix prefix;
		struct tf_service service;
		struct tf_uplink uplink;
	} answer;
};

/* Linear scans over a struct policy. */
extern const struct native_tables policy_tables;

/* n: filled by the caller. meta: all but device, which comes from n. */
struct tf_decision native_judge(struct native *n, const struct tf_policy *policy,
				struct tf_meta *meta);

#endif
