// SPDX-License-Identifier: GPL-2.0
/*
 * What the running kernel makes of each program: how many instructions its verifier works through,
 * for how long, and how long the load takes. Loads every program by itself, then all of them by the
 * fence's own loader; attaches and pins nothing. No test, since the numbers are the kernel's.
 *
 *     build-test/measure/measure CONFIG      root; the policy is that of this fence
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <tunfence/policy.h>

#include "direct.skel.h"
#include "dispatcher.skel.h"
#include "guard.skel.h"
#include "guard_direct.skel.h"
#include "lsm.skel.h"
#include "mark.skel.h"
#include "measure/policy.h"
#include "namespace.skel.h"
#include "object.h"
#include "planes.h"
#include "tunfence.skel.h"
#include "util.h"
#include "who.skel.h"

enum {
	NETFILTER_TYPE = 32,   /* enum bpf_prog_type as of Linux 6.4 */
	NETFILTER_ATTACH = 45, /* enum bpf_attach_type */
	LOG_STATS = 4,         /* BPF_LOG_STATS of the kernel */
	LOG_BYTES = 64 << 10,
};

/* Each skeleton's object; the first ones have programs that others have, too. */
enum { DIRECT = 2 };
static const void *(*const objects[])(size_t *bytes) = {
	tunfence_direct_bpf__elf_bytes,
	tunfence_guard_direct_bpf__elf_bytes,
	[DIRECT] = tunfence_bpf__elf_bytes,
	tunfence_guard_bpf__elf_bytes,
	tunfence_namespace_bpf__elf_bytes,
	tunfence_lsm_bpf__elf_bytes,
	tunfence_mark_bpf__elf_bytes,
	tunfence_who_bpf__elf_bytes,
	tunfence_dispatcher_bpf__elf_bytes,
};

struct measure {
	int result;
	unsigned long instructions, verifier_us;
	double load_ms;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The number behind these words in the verifier's log; 0: it does not say. */
static unsigned long number_after(const char *log, const char *words)
{
	const char *at = strstr(log, words);

	return at ? strtoul(at + strlen(words), NULL, 10) : 0;
}

/* The policy's constants, which the verifier knows, in front of the compiler's own. The dispatcher is
 * no fence's and has none. */
static int set_constants(struct bpf_object *o, const struct tf_policy *policy)
{
	struct bpf_map *map = bpf_object__find_map_by_name(o, ".rodata");
	_cleanup_free_ char *value = NULL;
	const void *initial;
	size_t bytes = 0;

	if (!map)
		return 0;
	initial = bpf_map__initial_value(map, &bytes);
	value = initial && bytes >= sizeof(*policy) ? malloc(bytes) : NULL;
	if (!value)
		return -EINVAL;
	memcpy(value, initial, bytes);
	memcpy(value, policy, sizeof(*policy));
	return bpf_map__set_initial_value(map, value, bytes);
}

/* Switches every other program off. -ENOENT: the object has no such program. */
static int choose(struct bpf_object *o, enum program which, char *log)
{
	struct bpf_program *program, *chosen = NULL;

	bpf_object__for_each_program(program, o) {
		bool it = streq(bpf_program__name(program), programs[which].name);

		bpf_program__set_autoload(program, it);
		if (it)
			chosen = program;
	}
	if (!chosen)
		return -ENOENT;
	if (which == PROGRAM_NS) { /* Debian 12's libbpf does not know the section's name */
		bpf_program__set_type(chosen, (enum bpf_prog_type)NETFILTER_TYPE);
		bpf_program__set_expected_attach_type(chosen,
						      (enum bpf_attach_type)NETFILTER_ATTACH);
	}
	bpf_program__set_log_level(chosen, LOG_STATS);
	return bpf_program__set_log_buf(chosen, log, LOG_BYTES);
}

static void close_object(struct bpf_object **o)
{
	bpf_object__close(*o);
}

/* -ENOENT: this object has no such program. What the kernel says of it is in *ret. */
static int measure_in(size_t object, enum program which, const struct tf_policy *policy,
		      struct measure *ret)
{
	_cleanup_(close_object) struct bpf_object *o = NULL;
	_cleanup_free_ char *log = calloc(1, LOG_BYTES);
	size_t bytes;
	const void *elf = objects[object](&bytes);
	double start;
	int r;

	o = log ? bpf_object__open_mem(elf, bytes, NULL) : NULL;
	if (!o)
		return -errno;
	r = choose(o, which, log);
	if (!r)
		r = set_constants(o, policy);
	if (r)
		return r;
	start = now_ms();
	ret->result = bpf_object__load(o);
	ret->load_ms = now_ms() - start;
	ret->instructions = number_after(log, "processed ");
	ret->verifier_us = number_after(log, "verification time ");
	return 0;
}

/* Of the first of these objects that has it. */
static int measure(size_t from, size_t to, enum program which, const struct tf_policy *policy,
		   struct measure *ret)
{
	int r = -ENOENT;
	size_t i;

	for (i = from; r == -ENOENT && i < to; i++)
		r = measure_in(i, which, policy, ret);
	return r;
}

static void print_row(enum program which, const char *how, const struct measure *m)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%s", programs[which].name, how);
	if (m->result)
		printf("%-22s %12s %12s %9s  refused: %s\n", name, "-", "-", "-",
		       strerror(-m->result));
	else
		printf("%-22s %12lu %12.1f %9.1f  loaded\n", name, m->instructions,
		       (double)m->verifier_us / 1e3, m->load_ms);
}

static int measure_loader(const struct policy *policy, struct err *e)
{
	_cleanup_objects_ struct objects *all = NULL;
	double start = now_ms();
	int r = objects_load(policy, NULL, NULL, &all, e);

	if (!r)
		printf("%-22s %12s %12s %9.1f  as by 'up'\n", "all", "", "", now_ms() - start);
	return r;
}

static int measure_all(const char *path, struct err *e)
{
	_cleanup_policy_ struct policy *policy = NULL;
	struct utsname kernel;
	enum program i;
	int r = policy_of_config(path, &policy, e);

	if (r)
		return r;
	uname(&kernel);
	printf("%s, %s\n%-22s %12s %12s %9s\n", kernel.release, path, "program", "instructions",
	       "verifier ms", "load ms");
	for (i = 0; i < PROGRAM_COUNT; i++) {
		struct measure m = {}, direct = {};

		r = measure(DIRECT, ARRAY_SIZE(objects), i, &policy->rodata, &m);
		if (r)
			return err_set(e, r, "program '%s': %s", programs[i].name, strerror(-r));
		print_row(i, "", &m);
		if (!measure(0, DIRECT, i, &policy->rodata, &direct))
			print_row(i, ":direct", &direct);
		if (m.result && !programs[i].optional)
			return err_set(e, m.result, "no kernel may be without '%s'",
				       programs[i].name);
	}
	return measure_loader(policy, e);
}

int main(int argc, char *argv[])
{
	struct err e = {};

	if (argc != 2) {
		fprintf(stderr, "usage: measure CONFIG\n");
		return 2;
	}
	libbpf_set_print(NULL);
	if (measure_all(argv[1], &e)) {
		fprintf(stderr, "measure: %s\n", e.text);
		return 1;
	}
	return 0;
}
