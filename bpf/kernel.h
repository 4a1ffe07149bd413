/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the kernel's own structures are read: the same words for both ways there are.
 *
 * Normally each step is a probe read, which every kernel has. With TF_DIRECT it is a plain load, at
 * a tenth of the cost: the verifier holds it against the kernel's types, and the kernel lets it give
 * 0 where there is nothing to read. Who cannot have that (before Linux 6.2) refuses the object, and
 * the loader takes the other. Either way what could not be read is 0, and 0 passes nothing.
 *
 * A pointer that the verifier may call maybe NULL is to be checked before it is followed: skb->sk, and
 * what is __rcu in that, since kernels that clang built say so in their types (MEM_RCU of
 * check_ptr_to_btf_access(), kernel/bpf/verifier.c) and then refuse the program otherwise.
 */
#ifndef TUNFENCE_KERNEL_H
#define TUNFENCE_KERNEL_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <vmlinux.h>

#include <tunfence/seam.h>

#ifdef TF_DIRECT

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;
extern void *bpf_rdonly_cast(const void *at, __u32 type) __ksym;

/* READ(p, a, b): p->a->b */
#define READ_1(p, a) ((p)->a)
#define READ_2(p, a, b) ((p)->a->b)
#define READ_3(p, a, b, c) ((p)->a->b->c)
#define READ_4(p, a, b, c, d) ((p)->a->b->c->d)
#define READ_BY_COUNT(a, b, c, d, name, ...) name
#define READ(p, ...) READ_BY_COUNT(__VA_ARGS__, READ_4, READ_3, READ_2, READ_1, )(p, __VA_ARGS__)
#define READ_BITS(p, field) BPF_CORE_READ_BITFIELD(p, field)

/* What lies at an address that has no type; or has one, which the verifier then knows by the cast alone.
 * Of what it trusts it would search all the kernel's types for each pointer that is read from there,
 * up to four times a read (type_is_trusted() and the like): a hundred milliseconds for a program. */
#define KERNEL_CAST(type, at) \
	((type *)bpf_rdonly_cast((const void *)(at), bpf_core_type_id_kernel(type)))

/* What the context of a program stands for. */
#define KERNEL_CONTEXT(type, ctx) KERNEL_CAST(type, bpf_cast_to_kern_ctx(ctx))

#else

#define READ(p, ...) BPF_CORE_READ(p, __VA_ARGS__)
#define READ_BITS(p, field) BPF_CORE_READ_BITFIELD_PROBED(p, field)
#define KERNEL_CONTEXT(type, ctx) ((type *)(void *)(ctx))
#define KERNEL_CAST(type, at) ((type *)(at))

#endif

/* A word of text as far as its first zero byte, which ends it; the first byte is the lowest. live: all
 * ones until there was a zero byte. */
static __always_inline __u64 until_zero(__u64 word, __u64 *live)
{
	const __u64 ones = 0x0101010101010101ULL;
	__u64 x = tf_le64(word), zero = (x - ones) & ~x & ones << 7, lowest = zero & -zero;

	x &= *live & ((lowest >> 7) - 1); /* all of it if there is none */
	if (zero)
		*live = 0;
	return x;
}

#ifdef TF_DIRECT

/* Words as numbers from wherever they lie, pointers too: a function that is checked by itself takes
 * those as nothing else. Two at a time, of a type that is so large everywhere. */
static __always_inline void load_words(__u64 *to, const void *at, __u32 count)
{
	const __u64 *from = NULL;
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < count; i++) {
		if (i % 2 == 0)
			from = (const __u64 *)KERNEL_CAST(struct in6_addr, at + i * sizeof(*to));
		to[i] = from[i % 2];
	}
}

/* Text in 16 bytes of the kernel's, where behind its end may stand the rest of an earlier one. Whether
 * its last word could be read; or is empty, which cannot be told apart. */
static __always_inline _Bool load_text(struct tf_name *to, const void *text)
{
	const __u64 *from = text;
	__u64 live = ~0ULL, word[2] = {};
	_Bool is_long;

	word[0] = tf_le64(until_zero(from[0], &live));
	is_long = live != 0;
	if (is_long)
		word[1] = tf_le64(until_zero(from[1], &live));
	__builtin_memcpy(to, word, sizeof(word));
	return (is_long ? word[1] : word[0]) != 0;
}

static __always_inline void read_device_name(struct tf_name *to, const struct net_device *dev)
{
	load_text(to, &dev->name);
}

/* It ends somewhere in read-only memory, hardly ever where that ends: then it is read as elsewhere. */
static __always_inline void read_kind(struct tf_name *to, const struct net_device *dev)
{
	const char *kind = dev->rtnl_link_ops->kind;

	/* Of sixteen bytes, like any text of that length. */
	if (kind && !load_text(to, KERNEL_CAST(struct in6_addr, kind)))
		bpf_probe_read_kernel_str(to->text, sizeof(to->text), kind);
}

#else

static __always_inline void load_words(__u64 *to, const void *at, __u32 count)
{
	bpf_probe_read_kernel(to, count * sizeof(*to), at);
}

static __always_inline _Bool load_text(struct tf_name *to, const void *text)
{
	return bpf_probe_read_kernel_str(to->text, sizeof(to->text), text) > 0;
}

static __always_inline void read_device_name(struct tf_name *to, const struct net_device *dev)
{
	bpf_core_read_str(to->text, sizeof(to->text), &dev->name);
}

static __always_inline void read_kind(struct tf_name *to, const struct net_device *dev)
{
	const char *kind = BPF_CORE_READ(dev, rtnl_link_ops, kind);

	if (kind)
		bpf_probe_read_kernel_str(to->text, sizeof(to->text), kind);
}

#endif

static __always_inline __u64 load_word(const void *at)
{
	__u64 word = 0;

	load_words(&word, at, 1);
	return word;
}

#endif
