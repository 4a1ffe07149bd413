// SPDX-License-Identifier: GPL-2.0
/* What cgroup fences share: see dispatcher.h. Loads its program and writes its maps. */
#include "dispatcher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "addr.h"
#include "dispatcher.skel.h"
#include "fault.h"
#include "fence.h"
#include "planes.h"
#include "program.h"
#include "util.h"

#define JUDGES_PIN "judges"

const char *dispatcher_map_name(enum dispatcher_map map)
{
	static const char *const names[DISPATCHER_MAP_COUNT] = {
#define X(NAME, name) [DISPATCHER_##NAME] = name,
		DISPATCHER_MAPS(X)
#undef X
	};

	return names[map];
}

void dispatcher_init(struct dispatcher *d)
{
	size_t i;

	memset(d, 0, sizeof(*d));
	d->program = -1;
	for (i = 0; i < DISPATCHER_MAP_COUNT; i++)
		d->map[i] = -1;
}

void dispatcher_close(struct dispatcher *d)
{
	size_t i;

	cleanup_close(&d->program);
	for (i = 0; i < DISPATCHER_MAP_COUNT; i++)
		cleanup_close(&d->map[i]);
	dispatcher_init(d);
}

int dispatcher_find(struct dispatcher *d, const struct pins *pins, __u32 netns)
{
	struct stat own = {};

	stat(pins->own_root, &own);
	snprintf(d->name, sizeof(d->name), PIN_DISPATCHER "%d-%u", TF_DISPATCHER_ABI, netns);
	snprintf(d->filter, sizeof(d->filter), "%s-%llu", d->name, (unsigned long long)own.st_dev);
	return pins_of_another(pins, d->name, &d->pins);
}

int dispatcher_netns(const char *name, __u32 *ret)
{
	char before[64];
	int length = snprintf(before, sizeof(before), PIN_DISPATCHER "%d-", TF_DISPATCHER_ABI);

	return strncmp(name, before, (size_t)length) != 0 ||
			       parse_u32(name + length, 0, UINT32_MAX, ret) ?
		       -ENOENT :
		       0;
}

static int open_map(struct dispatcher *d, __u32 id)
{
	char name[PROGRAM_NAME_LEN];
	_cleanup_close_ int fd = program_map_by_id(id, name);
	size_t i;

	for (i = 0; fd >= 0 && i < DISPATCHER_MAP_COUNT; i++) {
		if (!streq(name, dispatcher_map_name((enum dispatcher_map)i)) || d->map[i] >= 0)
			continue;
		d->map[i] = TAKE_FD(fd);
		if (i == DISPATCHER_JUDGES)
			d->judges_id = id;
		return 0;
	}
	return fd < 0 ? fd : 0;
}

/* Each of its program's maps by its name. */
static int open_maps(struct dispatcher *d)
{
	__u32 ids[PROGRAM_MAX_MAPS];
	int count = program_maps(d->program, ids), i, r = 0;

	for (i = 0; !r && i < count; i++)
		r = open_map(d, ids[i]);
	for (i = 0; !r && i < DISPATCHER_MAP_COUNT; i++)
		r = d->map[i] < 0 ? -EBADMSG : 0;
	return count < 0 ? count : r;
}

/* Whether it would call whom the dispatcher's own would. */
static bool calls_alike(const struct dispatcher *d, int program_fd)
{
	__u32 ids[PROGRAM_MAX_MAPS];
	int count = program_maps(program_fd, ids), i;

	for (i = 0; i < count; i++) {
		if (ids[i] == d->judges_id)
			return true;
	}
	return false;
}

bool dispatcher_is(const struct dispatcher *d, __u32 program_id)
{
	char name[PROGRAM_NAME_LEN];
	_cleanup_close_ int fd = program_by_id(program_id, name);

	return fd >= 0 && streq(name, programs[PROGRAM_DISPATCHER].name) && calls_alike(d, fd);
}

/* The program of a link of the dispatcher's. Returns 1, or why not. */
static int take_from_link(const char *name, void *data)
{
	struct dispatcher *d = data;
	_cleanup_close_ int fd = pin_open(&d->pins, "links", name);
	struct hook_link link;
	char program_name[PROGRAM_NAME_LEN];
	int program, r = fd < 0 ? fd : hook_link_info(fd, &link);

	if (r)
		return r == -ENOENT ? -EBADMSG : r;
	program = program_by_id(link.program_id, program_name);
	if (program < 0)
		return program == -ENOENT ? -EBADMSG : program;
	d->program = program;
	return streq(program_name, programs[PROGRAM_DISPATCHER].name) ? 1 : -EBADMSG;
}

/* That which is pinned; or, should somebody have removed that pin, one that stands on a device.
 * -ENOENT only if there is nothing: whoever is told so may remove what is left. */
static int open_program(struct dispatcher *d)
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	int r;

	d->program = pin_open(&d->pins, "progs", programs[PROGRAM_DISPATCHER].pin);
	if (d->program == -ENOENT) {
		r = pin_each(&d->pins, "links", take_from_link, d);
		return r == 1 ? 0 : r ? r : -ENOENT;
	}
	if (d->program < 0)
		return d->program;
	if (bpf_obj_get_info_by_fd(d->program, &info, &bytes))
		return -errno;
	return streq(info.name, programs[PROGRAM_DISPATCHER].name) ? 0 : -EBADMSG;
}

int dispatcher_open(const struct pins *pins, __u32 netns, struct dispatcher *ret, struct err *e)
{
	_cleanup_dispatcher_ struct dispatcher d;
	int r;

	dispatcher_init(&d);
	r = dispatcher_find(&d, pins, netns);
	if (!r)
		r = open_program(&d);
	if (!r)
		r = open_maps(&d);
	if (r)
		return err_set(e, r,
			       "the dispatcher of cgroup fences in '%s' cannot be opened: %s; nothing "
			       "was changed; try again", d.pins.own, strerror(-r));
	*ret = d;
	dispatcher_init(&d);
	return 0;
}

/* Want of memory or of rights is no sign of a kernel that cannot have it. */
static int load(struct bpf_object *object, struct err *e)
{
	int r = bpf_object__load(object);

	fault_step();
	if (!r)
		return 0;
	if (r == -ENOMEM || r == -EPERM || r == -EAGAIN)
		return err_set(e, r, "the dispatcher of cgroup fences cannot be loaded: %s",
			       strerror(-r));
	return -EOPNOTSUPP;
}

/* The array of programs first: without a pin of its own it would be emptied. The program is what is
 * looked for, so it is pinned when all else is there. */
static int pin_all(const struct dispatcher *d, struct err *e)
{
	int r = pins_make(&d->pins, e);

	if (!r)
		r = pin_put(&d->pins, "arrays", JUDGES_PIN, d->map[DISPATCHER_JUDGES], e);
	if (!r)
		r = pin_put(&d->pins, "progs", programs[PROGRAM_DISPATCHER].pin, d->program, e);
	return r;
}

/* The maps there are, for another program. */
static int share_maps(struct bpf_object *object, const struct dispatcher *d)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < DISPATCHER_MAP_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(
			object, dispatcher_map_name((enum dispatcher_map)i));

		r = !map ? -ENOENT : d->program < 0 ? 0 : bpf_map__reuse_fd(map, d->map[i]);
	}
	return r;
}

/* No program refers to 'slots': bound, it lives with this one and is found by it. The object closes
 * what it has. */
static int take_program(struct bpf_object *object, struct dispatcher *ret)
{
	const struct bpf_program *program =
		bpf_object__find_program_by_name(object, programs[PROGRAM_DISPATCHER].name);
	int slots = bpf_object__find_map_fd_by_name(object, dispatcher_map_name(DISPATCHER_SLOTS));

	if (!program)
		return -ENOENT;
	ret->program = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0);
	if (ret->program < 0 || bpf_prog_bind_map(ret->program, slots, NULL))
		return -errno;
	return open_maps(ret);
}

static int load_over(const struct dispatcher *old, struct dispatcher *ret, struct err *e)
{
	const struct bpf_object_open_opts options = {
		.sz = sizeof(options),
		.object_name = "tunfence",
	};
	struct bpf_object *object;
	size_t bytes;
	const void *elf = tunfence_dispatcher_bpf__elf_bytes(&bytes);
	int r;

	object = bpf_object__open_mem(elf, bytes, &options);
	r = object ? share_maps(object, old) : -errno;
	if (r)
		err_set(e, r, "the dispatcher of cgroup fences cannot be opened: %s", strerror(-r));
	else
		r = load(object, e);
	if (!r) {
		r = take_program(object, ret);
		if (r)
			err_set(e, r, "the dispatcher of cgroup fences cannot be found: %s",
				strerror(-r));
	}
	bpf_object__close(object);
	return r;
}

int dispatcher_make(const struct pins *pins, __u32 netns, struct dispatcher *ret, struct err *e)
{
	_cleanup_dispatcher_ struct dispatcher old, d;
	int r;

	dispatcher_init(&old);
	dispatcher_init(&d);
	if (fault_is("no-dispatcher"))
		return -EOPNOTSUPP;
	r = dispatcher_open(pins, netns, &old, NULL);
	if (r && r != -ENOENT)
		return err_set(e, r, "the dispatcher of cgroup fences cannot be opened: %s",
			       strerror(-r));
	r = dispatcher_find(&d, pins, netns);
	if (r)
		return err_set(e, r, "'%s' is too long a path", pins->own_root);
	if (!r)
		r = load_over(&old, &d, e);
	if (!r)
		r = pin_all(&d, e);
	if (r)
		return r;
	*ret = d;
	dispatcher_init(&d);
	return 0;
}

static int put(const struct dispatcher *d, enum dispatcher_map map, const void *key,
	       const void *value, struct err *e)
{
	int r = bpf_map_update_elem(d->map[map], key, value, BPF_ANY);

	fault_step();
	return r ? err_set(e, -errno, "map '%s' of the dispatcher cannot be written: %s",
			   dispatcher_map_name(map), strerror(errno)) :
		   0;
}

static int drop(const struct dispatcher *d, enum dispatcher_map map, const void *key, struct err *e)
{
	int r = bpf_map_delete_elem(d->map[map], key);

	fault_step();
	return r && errno != ENOENT ?
		       err_set(e, -errno, "map '%s' of the dispatcher cannot be written: %s",
			       dispatcher_map_name(map), strerror(errno)) :
		       0;
}

/* What cannot be read is somebody's. */
static bool read_slot(const struct dispatcher *d, __u32 slot, struct tf_slot *ret)
{
	return bpf_map_lookup_elem(d->map[DISPATCHER_SLOTS], &slot, ret) == 0;
}

static bool is_slot_of(const struct dispatcher *d, __u32 slot, const char *fence)
{
	struct tf_slot found;

	return read_slot(d, slot, &found) && strncmp(found.fence, fence, sizeof(found.fence)) == 0;
}

/* A fence's directory is there before it has a judge, and until it has left. A name without one is that
 * of an 'up' that ended before, or of a 'down' after. */
static bool is_free(const struct dispatcher *d, __u32 slot)
{
	struct pins pins;
	struct tf_slot found;

	if (!read_slot(d, slot, &found))
		return false;
	found.fence[sizeof(found.fence) - 1] = '\0';
	return !found.fence[0] || (pins_of_another(&d->pins, found.fence, &pins) == 0 &&
				   access(pins.own, F_OK) && errno == ENOENT);
}

__u32 dispatcher_slot(const struct dispatcher *d, const char *fence)
{
	__u32 slot;

	for (slot = 1; slot < TF_SLOTS; slot++) {
		if (is_slot_of(d, slot, fence))
			return slot;
	}
	return 0;
}

bool dispatcher_is_empty(const struct dispatcher *d)
{
	__u32 slot;

	for (slot = 1; slot < TF_SLOTS; slot++) {
		if (!is_free(d, slot))
			return false;
	}
	return true;
}

__u32 dispatcher_judge(const struct dispatcher *d, __u32 slot)
{
	__u32 id;

	return bpf_map_lookup_elem(d->map[DISPATCHER_JUDGES], &slot, &id) ? 0 : id;
}

static __u64 bit_of(__u32 slot)
{
	return 1ULL << slot % TF_SLOT_BITS;
}

static bool has_slot(const struct tf_member *m, __u32 slot)
{
	return m->slots[slot / TF_SLOT_BITS] & bit_of(slot);
}

/* -ENOENT: it is none. */
static int find_member(const struct dispatcher *d, __u64 id, struct tf_member *ret)
{
	*ret = (struct tf_member){ .id = id };
	return bpf_map_lookup_elem(d->map[DISPATCHER_MEMBERS], &id, ret) ? -errno : 0;
}

static int unreadable(int r, enum dispatcher_map map, struct err *e)
{
	return err_set(e, r, "map '%s' of the dispatcher cannot be read: %s",
		       dispatcher_map_name(map), strerror(-r));
}

static __u32 group_count(const struct tf_policy *p)
{
	return p->group_count < TF_GROUP_ROOM ? p->group_count : TF_GROUP_ROOM;
}

bool dispatcher_can_tell(const struct tf_policy *p)
{
	__u32 i;

	for (i = 0; i < group_count(p); i++) {
		if (p->groups[i].level >= TF_SLOT_LEVELS)
			return false;
	}
	return true;
}

/* The program that has the slot calls on as it should. */
static bool has_judge(const struct dispatcher *d, __u32 slot)
{
	char name[PROGRAM_NAME_LEN];
	_cleanup_close_ int fd = program_by_id(dispatcher_judge(d, slot), name);

	return fd >= 0 && calls_alike(d, fd);
}

bool dispatcher_has(const struct dispatcher *d, const struct tf_policy *p)
{
	__u32 i, zero = 0;
	__u64 levels = 0;

	if (!is_slot_of(d, p->slot, p->fence) || !has_judge(d, p->slot))
		return false;
	bpf_map_lookup_elem(d->map[DISPATCHER_LEVELS], &zero, &levels);
	for (i = 0; i < group_count(p); i++) {
		struct tf_member m;

		if (find_member(d, p->groups[i].id, &m) || !has_slot(&m, p->slot) ||
		    p->groups[i].level >= TF_SLOT_LEVELS ||
		    !(levels & 1ULL << p->groups[i].level))
			return false;
	}
	return true;
}

static int add_member(const struct dispatcher *d, const struct tf_group *group, __u32 slot,
		      struct err *e)
{
	struct tf_member m;
	int r = find_member(d, group->id, &m);

	if (r && r != -ENOENT)
		return unreadable(r, DISPATCHER_MEMBERS, e);
	if (has_slot(&m, slot))
		return 0;
	m.level = group->level;
	m.slots[slot / TF_SLOT_BITS] |= bit_of(slot);
	return put(d, DISPATCHER_MEMBERS, &group->id, &m, e);
}

static int add_levels(const struct dispatcher *d, const struct tf_policy *p, struct err *e)
{
	__u64 levels = 0, before;
	__u32 i, zero = 0;

	if (bpf_map_lookup_elem(d->map[DISPATCHER_LEVELS], &zero, &levels))
		return unreadable(-errno, DISPATCHER_LEVELS, e);
	before = levels;
	for (i = 0; i < group_count(p); i++)
		levels |= 1ULL << p->groups[i].level % TF_SLOT_LEVELS;
	return levels == before ? 0 : put(d, DISPATCHER_LEVELS, &zero, &levels, e);
}

int dispatcher_join(const struct dispatcher *d, const struct tf_policy *p, int program_fd,
		    struct err *e)
{
	__u32 i;
	int r;

	if (!is_slot_of(d, p->slot, p->fence) || !calls_alike(d, program_fd))
		return err_set(e, -ESTALE,
			       "fence '%s' has no place in the dispatcher any more; run 'tunfence up "
			       "%s' again",
			       p->fence, p->fence);
	r = put(d, DISPATCHER_JUDGES, &p->slot, &program_fd, e);
	if (!r)
		r = add_levels(d, p, e);
	for (i = 0; !r && i < group_count(p); i++)
		r = add_member(d, &p->groups[i], p->slot, e);
	return r;
}

/* The ids of all members. */
static int list_members(const struct dispatcher *d, __u64 **ret, size_t *ret_count, struct err *e)
{
	_cleanup_free_ __u64 *ids = calloc(TF_MAX_MEMBERS, sizeof(*ids));
	size_t count = 0;
	__u64 *last = NULL;

	if (!ids)
		return err_set(e, -ENOMEM, "out of memory");
	while (count < TF_MAX_MEMBERS &&
	       bpf_map_get_next_key(d->map[DISPATCHER_MEMBERS], last, &ids[count]) == 0)
		last = &ids[count++];
	if (count < TF_MAX_MEMBERS && errno != ENOENT)
		return unreadable(-errno, DISPATCHER_MEMBERS, e);
	*ret = TAKE_PTR(ids);
	*ret_count = count;
	return 0;
}

static int drop_slot(const struct dispatcher *d, __u64 id, __u32 slot, struct err *e)
{
	static const struct tf_member nobody;
	struct tf_member m;
	int r = find_member(d, id, &m);

	if (r && r != -ENOENT)
		return unreadable(r, DISPATCHER_MEMBERS, e);
	if (!has_slot(&m, slot))
		return 0;
	m.slots[slot / TF_SLOT_BITS] &= ~bit_of(slot);
	if (memcmp(m.slots, nobody.slots, sizeof(m.slots)) == 0)
		return drop(d, DISPATCHER_MEMBERS, &id, e);
	return put(d, DISPATCHER_MEMBERS, &id, &m, e);
}

static bool names_group(const struct tf_policy *p, __u64 id)
{
	__u32 i;

	for (i = 0; p && i < group_count(p); i++) {
		if (p->groups[i].id == id)
			return true;
	}
	return false;
}

/* Levels at which nobody is any more would only cost time. */
static int drop_levels(const struct dispatcher *d, const __u64 *ids, size_t count, struct err *e)
{
	struct tf_member m;
	__u64 levels = 0;
	__u32 zero = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		int r = find_member(d, ids[i], &m);

		if (r && r != -ENOENT)
			return unreadable(r, DISPATCHER_MEMBERS, e);
		if (!r)
			levels |= 1ULL << m.level % TF_SLOT_LEVELS;
	}
	return put(d, DISPATCHER_LEVELS, &zero, &levels, e);
}

/* Of the members, only those that the policy names keep the slot; p NULL: none does. */
static int keep_members(const struct dispatcher *d, __u32 slot, const struct tf_policy *p,
			struct err *e)
{
	_cleanup_free_ __u64 *ids = NULL;
	size_t count = 0, i;
	int r = list_members(d, &ids, &count, e);

	for (i = 0; !r && i < count; i++) {
		if (!names_group(p, ids[i]))
			r = drop_slot(d, ids[i], slot, e);
	}
	return r ? r : drop_levels(d, ids, count, e);
}

int dispatcher_keep(const struct dispatcher *d, const struct tf_policy *p, struct err *e)
{
	return keep_members(d, p->slot, p, e);
}

/* Members first: a cgroup without a judge is dropped. */
static int clear_slot(const struct dispatcher *d, __u32 slot, struct err *e)
{
	int r = keep_members(d, slot, NULL, e);

	return r ? r : drop(d, DISPATCHER_JUDGES, &slot, e);
}

static int name_slot(const struct dispatcher *d, __u32 slot, const char *fence, struct err *e)
{
	struct tf_slot name = {};

	snprintf(name.fence, sizeof(name.fence), "%s", fence);
	return put(d, DISPATCHER_SLOTS, &slot, &name, e);
}

int dispatcher_reserve(const struct dispatcher *d, const char *fence, __u32 *ret, struct err *e)
{
	__u32 slot = dispatcher_slot(d, fence);
	int r = 0;

	if (!slot) {
		for (slot = 1; slot < TF_SLOTS && !is_free(d, slot);)
			slot++;
		slot %= TF_SLOTS;
		if (slot)
			r = clear_slot(d, slot, e);
		if (slot && !r)
			r = name_slot(d, slot, fence, e);
	}
	if (!r)
		*ret = slot;
	return r;
}

int dispatcher_leave(const struct dispatcher *d, const char *fence, struct err *e)
{
	__u32 slot = dispatcher_slot(d, fence);

	return slot ? clear_slot(d, slot, e) : 0;
}

int dispatcher_release(const struct dispatcher *d, const char *fence, struct err *e)
{
	__u32 slot = dispatcher_slot(d, fence);

	return slot ? name_slot(d, slot, "", e) : 0;
}
