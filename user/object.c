// SPDX-License-Identifier: GPL-2.0
/*
 * The BPF objects of one policy: see object.h. The first one's maps are made, filled and in the end
 * frozen; the others are loaded over them, each with constants of its own that say the same.
 *
 * What takes time is the kernel's verifier, so as many are loaded at once as there are processors, each
 * by a thread that writes to nothing but its struct loading.
 */
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "direct.skel.h"
#include "fault.h"
#include "guard.skel.h"
#include "guard_direct.skel.h"
#include "lsm.skel.h"
#include "maps.skel.h"
#include "mark.skel.h"
#include "namespace.skel.h"
#include "tunfence.skel.h"
#include "util.h"
#include "who.skel.h"

enum {
	NETFILTER_TYPE = 32,   /* enum bpf_prog_type as of Linux 6.4 */
	NETFILTER_ATTACH = 45, /* enum bpf_attach_type */
};

enum object {
	OBJECT_MAPS = 0, /* comes first, and has no programs */
	OBJECT_LEAVING,  /* has the constants that are shown */
	OBJECT_ARRIVING,
	OBJECT_GUARD,
	OBJECT_NAMESPACE,
	OBJECT_LSM,
	OBJECT_MARK,
	OBJECT_WHO,
	OBJECT_COUNT,
};

static bool always(const struct tf_policy *p)
{
	(void)p;
	return true;
}

static bool if_there_is_lsm(const struct tf_policy *p)
{
	(void)p;
	return hook_has_lsm();
}

static bool if_any_is_exempt(const struct tf_policy *p)
{
	return p->exempt_count > 0;
}

static bool may_have_netfilter(const struct tf_policy *p)
{
	(void)p;
	return !fault_is("no-netfilter");
}

typedef const void *elf_bytes_fn(size_t *bytes);

/* direct: the same by plain loads, which is tried first. programs: those that are loaded of it, as bits;
 * 0: all. What arrives is of the same file as what leaves: see list_loads(). optional: a kernel without
 * the like of it is none the worse for the rest of the fence. */
static const struct {
	elf_bytes_fn *elf_bytes, *direct;
	__u32 programs;
	bool optional;
	bool (*wanted)(const struct tf_policy *p);
} table[OBJECT_COUNT] = {
	[OBJECT_MAPS] = { tunfence_maps_bpf__elf_bytes, NULL, 0, false, always },
	[OBJECT_LEAVING] = { tunfence_bpf__elf_bytes, tunfence_direct_bpf__elf_bytes,
			     1U << PROGRAM_SOCKET | 1U << PROGRAM_WIRE, false, always },
	[OBJECT_ARRIVING] = { tunfence_bpf__elf_bytes, tunfence_direct_bpf__elf_bytes,
			      1U << PROGRAM_IN, false, always },
	[OBJECT_GUARD] = { tunfence_guard_bpf__elf_bytes, tunfence_guard_direct_bpf__elf_bytes, 0,
			   false, always },
	[OBJECT_NAMESPACE] = { tunfence_namespace_bpf__elf_bytes, NULL, 0, true,
			       may_have_netfilter },
	[OBJECT_LSM] = { tunfence_lsm_bpf__elf_bytes, NULL, 0, true, if_there_is_lsm },
	[OBJECT_MARK] = { tunfence_mark_bpf__elf_bytes, NULL, 0, false, if_any_is_exempt },
	[OBJECT_WHO] = { tunfence_who_bpf__elf_bytes, NULL, 0, true, always },
};

struct objects {
	struct bpf_object *object[OBJECT_COUNT]; /* NULL: this kernel cannot have it */
	struct maps maps;                        /* of the first two, which close them */
	int program[PROGRAM_COUNT];              /* likewise */
	bool refused[PROGRAM_COUNT];             /* the kernel did not want it */
	char refusal[512];                       /* what it said of the last */
};

/* What libbpf said first in this thread: the reason why an object was refused. */
static _Thread_local char libbpf_said[512];

static int remember_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !libbpf_said[0])
		vsnprintf(libbpf_said, sizeof(libbpf_said), format, args);
	libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
	return 0;
}

void objects_free(struct objects *o)
{
	size_t i;

	if (!o)
		return;
	for (i = 0; i < OBJECT_COUNT; i++)
		bpf_object__close(o->object[i]);
	free(o);
}

int objects_program(const struct objects *o, enum program program)
{
	return o->program[program];
}

const char *objects_refusal(const struct objects *o, enum program program)
{
	return o->refused[program] ? o->refusal : NULL;
}

struct maps objects_maps(const struct objects *o)
{
	return o->maps;
}

/* libbpf's name of a map: that of its section for the constants. */
static struct bpf_map *find_map(struct bpf_object *object, enum map map)
{
	return bpf_object__find_map_by_name(object, map == MAP_RODATA ? ".rodata" : map_name(map));
}

/* Few in a test that fills it. */
static size_t blocked_room(const struct policy *p)
{
	if (fault_is("few-blocked"))
		return 256;
	return p->rodata.scope == TF_SCOPE_SYSTEM ? TF_MAX_BLOCKED : TF_MAX_BLOCKED_GROUPS;
}

static int size_maps(struct bpf_object *object, const struct policy *p, struct err *e)
{
	const struct {
		enum map map;
		size_t count;
	} sizes[] = {
		{ MAP_ENDPOINTS, p->endpoint_count }, { MAP_LIVE, TF_MAX_ENDPOINTS },
		{ MAP_PREFIXES, p->prefix_count },    { MAP_NETWORKS, p->prefix_count },
		{ MAP_SERVICES, p->service_count },
		{ MAP_UPLINKS, p->uplink_count },     { MAP_INSIDE, p->inside_count },
		{ MAP_INBOUND, p->inbound_count },    { MAP_BLOCKED, blocked_room(p) },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bpf_map *map = find_map(object, sizes[i].map);
		__u32 room = sizes[i].count ? (__u32)sizes[i].count : 1; /* never none */

		if (!map || bpf_map__set_max_entries(map, room))
			return err_set(e, -EINVAL, "map '%s' cannot be sized", map_name(sizes[i].map));
	}
	return 0;
}

/* The maps of the first object in place of the object's own. Its constants stay its own. */
static int share_maps(struct bpf_object *object, const struct maps *maps, struct err *e)
{
	size_t i;

	for (i = 0; i < MAP_COUNT; i++) {
		struct bpf_map *map = i == MAP_RODATA ? NULL : find_map(object, (enum map)i);

		if (map && bpf_map__reuse_fd(map, maps->fd[i]))
			return err_set(e, -errno, "map '%s' cannot be shared: %s",
				       map_name((enum map)i), libbpf_said);
	}
	return 0;
}

/* Whether the section of constants begins with the policy, as whoever reads a fence takes it to. */
static bool begins_with_policy(const struct btf *btf)
{
	__s32 id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	const struct btf_var_secinfo *var;
	const struct btf_type *type;
	__u16 i;

	for (i = 0; section && i < btf_vlen(section); i++) {
		var = btf_var_secinfos(section) + i;
		type = btf__type_by_id(btf, var->type);
		if (type && streq(btf__name_by_offset(btf, type->name_off), "policy"))
			return var->offset == 0 && var->size == sizeof(struct tf_policy);
	}
	return false;
}

/* What the compiler put behind the policy stays. */
static int set_constants(struct bpf_object *object, const struct tf_policy *policy, struct err *e)
{
	struct bpf_map *map = find_map(object, MAP_RODATA);
	_cleanup_free_ void *value = NULL;
	const void *initial;
	size_t bytes = 0;

	initial = map ? bpf_map__initial_value(map, &bytes) : NULL;
	if (!initial || bytes < sizeof(*policy) || !begins_with_policy(bpf_object__btf(object)))
		return err_set(e, -EINVAL, "the BPF object has no room for the policy");
	value = malloc(bytes);
	if (!value)
		return err_set(e, -ENOMEM, "out of memory");
	memcpy(value, initial, bytes);
	memcpy(value, policy, sizeof(*policy));
	return bpf_map__set_initial_value(map, value, bytes) ?
		       err_set(e, -EINVAL, "the policy cannot be put into the BPF object") :
		       0;
}

/* Debian 12's libbpf does not know the section's name. */
static void set_types(struct bpf_object *object)
{
	struct bpf_program *program =
		bpf_object__find_program_by_name(object, programs[PROGRAM_NS].name);

	if (!program)
		return;
	bpf_program__set_type(program, (enum bpf_prog_type)NETFILTER_TYPE);
	bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)NETFILTER_ATTACH);
}

static int refused(int r, struct err *e)
{
	if (r == -EPERM || r == -EACCES)
		return err_set(e, r,
			       "the kernel refuses the BPF program (%s); run this as root, with "
			       "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON at least%s%s",
			       strerror(-r), libbpf_said[0] ? ": " : "", libbpf_said);
	return err_set(e, r, "the kernel refuses the BPF program (%s): %s", strerror(-r),
		       libbpf_said);
}

/* What was counted and remembered under an earlier policy, in place of the object's own. */
static int carry_maps(struct bpf_object *object, const struct maps *old, struct err *e)
{
	size_t i;

	for (i = 0; old && i < MAP_COUNT; i++) {
		if (map_is_carried((enum map)i) &&
		    bpf_map__reuse_fd(find_map(object, (enum map)i), old->fd[i]))
			return err_set(e, -errno, "map '%s' cannot be carried on: %s",
				       map_name((enum map)i), libbpf_said);
	}
	return 0;
}

/* One object that is loaded. */
struct loading {
	enum object which;
	__u32 programs; /* as in the table */
	const struct policy *policy;
	const struct maps *maps;             /* to be shared */
	const struct dispatcher *dispatcher; /* likewise; NULL: there is none */
	struct bpf_object *object;
	bool is_refused; /* by the kernel */
	char said[sizeof(libbpf_said)];
	int result;
	struct err error;
};

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
	*object = NULL;
}

static int open_object(elf_bytes_fn *elf_bytes, struct bpf_object **ret, struct err *e)
{
	const struct bpf_object_open_opts options = {
		.sz = sizeof(options),
		.object_name = "tunfence", /* begins the name of the constants in the kernel */
	};
	size_t bytes;
	const void *elf = elf_bytes(&bytes);

	libbpf_said[0] = '\0';
	*ret = bpf_object__open_mem(elf, bytes, &options);
	return *ret ? 0 : err_set(e, -errno, "the BPF object cannot be opened: %s", libbpf_said);
}

/* The dispatcher's maps, of which a fence without a slot has small ones that nobody asks. */
static int share_dispatcher(struct bpf_object *object, const struct dispatcher *d, struct err *e)
{
	static const enum dispatcher_map shared[] = { DISPATCHER_MEMBERS, DISPATCHER_LEVELS,
						      DISPATCHER_JUDGES };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shared); i++) {
		const char *name = dispatcher_map_name(shared[i]);
		struct bpf_map *map = bpf_object__find_map_by_name(object, name);

		if (map && (d ? bpf_map__reuse_fd(map, d->map[shared[i]]) :
				bpf_map__set_max_entries(map, 1)))
			return err_set(e, -EINVAL, "map '%s' of the dispatcher cannot be shared: %s",
				       name, libbpf_said);
	}
	return 0;
}

static void choose_programs(struct bpf_object *object, __u32 chosen)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) {
		enum program p = program_find(bpf_program__name(program));

		bpf_program__set_autoload(program, !chosen || (p < PROGRAM_COUNT && chosen >> p & 1));
	}
}

static int prepare(struct loading *l, elf_bytes_fn *elf_bytes)
{
	struct err *e = &l->error;
	int r = open_object(elf_bytes, &l->object, e);

	if (r)
		return r;
	set_types(l->object);
	choose_programs(l->object, l->programs);
	r = set_constants(l->object, &l->policy->rodata, e);
	if (!r)
		r = share_maps(l->object, l->maps, e);
	return r ? r : share_dispatcher(l->object, l->dispatcher, e);
}

static int load_from(struct loading *l, elf_bytes_fn *elf_bytes)
{
	int r = prepare(l, elf_bytes);

	if (r)
		return r;
	r = l->which == OBJECT_NAMESPACE && fault_is("refused-netfilter") ?
		    -EACCES :
		    bpf_object__load(l->object);
	l->is_refused = r != 0;
	return r ? refused(r, &l->error) : 0;
}

/* Want of memory or of rights is no sign of a kernel that lacks a thing: then nothing is raised. */
static bool is_of_kernel(int r)
{
	return r != -ENOMEM && r != -EPERM && r != -EAGAIN;
}

/* What there is by plain loads from the kernel comes that way if it lets us, else by probe reads. */
static void load(struct loading *l)
{
	elf_bytes_fn *direct = fault_is("no-direct") ? NULL : table[l->which].direct;

	if (direct)
		l->result = load_from(l, direct);
	if (direct && l->result && is_of_kernel(l->result)) {
		close_object(&l->object);
		direct = NULL;
	}
	if (!direct)
		l->result = load_from(l, table[l->which].elf_bytes);
	snprintf(l->said, sizeof(l->said), "%s", libbpf_said);
}

struct loads {
	struct loading list[OBJECT_COUNT];
	size_t count, next;
};

static void *load_next(void *data)
{
	struct loads *l = data;
	size_t i;

	while ((i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED)) < l->count)
		load(&l->list[i]);
	return NULL;
}

/* Without a thread more it only takes longer. */
static void load_all(struct loads *l, long processors)
{
	pthread_t threads[OBJECT_COUNT];
	size_t begun = 0;

	while (begun + 1 < l->count && (long)begun + 1 < processors &&
	       pthread_create(&threads[begun], NULL, load_next, l) == 0)
		begun++;
	load_next(l);
	while (begun > 0)
		pthread_join(threads[--begun], NULL);
}

static void note_refusal(struct objects *o, const struct loading *l)
{
	size_t i;

	snprintf(o->refusal, sizeof(o->refusal), "%s", l->said);
	for (i = 0; i < PROGRAM_COUNT; i++) {
		if (bpf_object__find_program_by_name(l->object, programs[i].name))
			o->refused[i] = true;
	}
}

/* Takes over what was loaded. */
static int take(struct loading *l, struct objects *o, struct err *e)
{
	fault_step();
	if (!l->result) {
		o->object[l->which] = TAKE_PTR(l->object);
		return 0;
	}
	if (l->is_refused && table[l->which].optional && is_of_kernel(l->result)) {
		note_refusal(o, l);
		l->result = 0;
	}
	close_object(&l->object);
	if (l->result && e)
		*e = l->error;
	return l->result;
}

static long count_processors(void)
{
	return fault_is("many-processors") ? OBJECT_COUNT : sysconf(_SC_NPROCESSORS_ONLN);
}

/* For each object libbpf searches all of the kernel's types, which takes as long as the verifier for two
 * programs. So with no more processors than there is other work for, what leaves and what arrives are
 * one object. */
static void list_loads(struct loads *l, const struct loading *one, long processors)
{
	const bool together = processors <= 2;
	size_t i;

	for (i = OBJECT_MAPS + 1; i < OBJECT_COUNT; i++) {
		struct loading *next = &l->list[l->count];

		if (!table[i].wanted(&one->policy->rodata) || (together && i == OBJECT_ARRIVING))
			continue;
		*next = *one;
		next->which = (enum object)i;
		next->programs = table[i].programs;
		if (together && i == OBJECT_LEAVING)
			next->programs |= table[OBJECT_ARRIVING].programs;
		l->count++;
	}
}

/* Of what went wrong the first is told. */
static int load_programs(struct objects *o, const struct policy *policy,
			 const struct dispatcher *dispatcher, struct err *e)
{
	const struct loading one = { .policy = policy, .maps = &o->maps, .dispatcher = dispatcher };
	const long processors = count_processors();
	struct loads loads = {};
	size_t i;
	int r = 0, first = 0;

	list_loads(&loads, &one, processors);
	load_all(&loads, processors);
	for (i = 0; i < loads.count; i++) {
		r = take(&loads.list[i], o, first ? NULL : e);
		first = first ? first : r;
	}
	return first;
}

/* The maps, with the policy in them. */
static int load_maps(struct objects *o, const struct policy *policy, const struct maps *old,
		     struct err *e)
{
	struct bpf_object **object = &o->object[OBJECT_MAPS];
	int r = open_object(table[OBJECT_MAPS].elf_bytes, object, e);
	size_t i;

	if (!r)
		r = size_maps(*object, policy, e);
	if (!r)
		r = carry_maps(*object, old, e);
	if (r)
		return r;
	bpf_map__set_autocreate(find_map(*object, MAP_RODATA), false); /* programs have their own */
	r = bpf_object__load(*object);
	fault_step();
	if (r)
		return refused(r, e);
	for (i = 0; i < MAP_COUNT; i++)
		o->maps.fd[i] = bpf_map__fd(find_map(*object, (enum map)i));
	if (!old)
		r = maps_label_counters(o->maps.fd[MAP_COUNTERS], e);
	return r ? r : maps_fill(&o->maps, policy, e);
}

static int find_program(const struct objects *o, enum program program)
{
	struct bpf_program *found;
	size_t i;

	for (i = 0; i < OBJECT_COUNT; i++) {
		found = o->object[i] ? bpf_object__find_program_by_name(o->object[i],
									programs[program].name) :
				       NULL;
		if (found && bpf_program__autoload(found))
			return bpf_program__fd(found);
	}
	return -1;
}

/* Maps that no program refers to live with those they are bound to. 'tunnels' is bound to each, and
 * its number tells which programs are of one policy. */
static int bind_map(const struct objects *o, enum program program, enum map map, struct err *e)
{
	if (bpf_prog_bind_map(o->program[program], o->maps.fd[map], NULL))
		return err_set(e, -errno, "map '%s' cannot be bound to '%s': %s", map_name(map),
			       programs[program].name, strerror(errno));
	return 0;
}

static int bind_programs(struct objects *o, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < PROGRAM_COUNT; i++) {
		o->program[i] = find_program(o, (enum program)i);
		if (o->program[i] < 0 && programs[i].optional)
			continue;
		if (o->program[i] < 0)
			return err_set(e, -ENOENT, "the BPF program '%s' is missing",
				       programs[i].name);
		r = bind_map(o, (enum program)i, MAP_TUNNELS, e);
	}
	return r ? r : bind_map(o, PROGRAM_SOCKET, MAP_CLEARED, e);
}

int objects_load(const struct policy *policy, const struct maps *old,
		 const struct dispatcher *dispatcher, struct objects **ret, struct err *e)
{
	_cleanup_objects_ struct objects *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return err_set(e, -ENOMEM, "out of memory");
	libbpf_set_print(remember_libbpf);
	r = load_maps(o, policy, old, e);
	if (!r)
		r = load_programs(o, policy, dispatcher, e);
	if (!r)
		o->maps.fd[MAP_RODATA] =
			bpf_map__fd(find_map(o->object[OBJECT_LEAVING], MAP_RODATA));
	/* Not before every object is loaded: of a frozen array the verifier wants to know the values,
	 * has them of one with a single entry only, and else ends with ENOTSUPP and not a word
	 * (array_map_direct_value_addr(), kernel/bpf/arraymap.c). Nothing is attached yet. */
	if (!r)
		r = maps_freeze(&o->maps, e);
	if (!r)
		r = bind_programs(o, e);
	if (!r)
		*ret = TAKE_PTR(o);
	return r;
}
