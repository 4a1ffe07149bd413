// SPDX-License-Identifier: GPL-2.0
/* tunfence blocked: what would have leaked, by who sent it where. */
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "blocked_view.h"
#include "command.h"
#include "config.h"
#include "fence.h"
#include "pin.h"
#include "util.h"
#include "world.h"

enum { USUAL_TOP = 20 }; /* as text; a script gets all */

/* A walk over the fences. */
struct asking {
	const struct options *o;
	struct blocked_choice choice;
	struct now now;
	__u32 netns;
	json_t *fences;
	size_t seen;
	struct err *e;
};

static int clear(const struct fence *f, struct err *e)
{
	size_t count;
	int r = blocked_clear(&f->maps, &count, e);

	if (!r)
		printf("%s: %zu kind%s of packets forgotten; 'tunfence status' counts on\n", f->name,
		       count, count == 1 ? "" : "s");
	return r;
}

static void print(const struct asking *a, struct blocked_view *v)
{
	if (a->o->json) {
		json_array_append_new(a->fences, blocked_view_json(v));
		return;
	}
	if (a->seen > 1)
		putchar('\n');
	blocked_view_merge(v, a->choice.top);
	blocked_view_print(v, stdout);
}

static int show(struct asking *a, const struct fence *f)
{
	_cleanup_blocked_ struct blocked b = {};
	struct blocked_view v = {
		.fence = f->name,
		.observe = f->policy.mode == TF_MODE_OBSERVE,
		.here = f->policy.netns == a->netns,
		.now = a->now,
	};
	int r = blocked_read(&f->maps, &b, a->e);

	if (!r)
		r = blocked_view_make(&b, &a->choice, &v, a->e);
	if (!r)
		print(a, &v);
	blocked_view_free(&v);
	return r;
}

static int look_at(const char *name, void *data)
{
	struct asking *a = data;
	_cleanup_fence_ struct fence *f = NULL;
	struct pins pins;
	int r = pins_init(&pins, a->o->bpffs, a->o->run_dir, name, a->e);

	if (!r)
		r = fence_peek(&pins, name, &f, a->e);
	if (r)
		return r;
	a->seen++;
	return a->o->clear ? clear(f, a->e) : show(a, f);
}

static int read_choice(struct asking *a)
{
	const struct options *o = a->o;
	__u32 top = o->json ? 0 : USUAL_TOP;
	int r = 0;

	if (o->top && parse_u32(o->top, 0, 1000000, &top))
		r = err_set(a->e, -EINVAL, "'--top %s' is no number of lines; write 0 for all", o->top);
	if (!r && o->since)
		r = when_parse(o->since, &a->now, &a->choice.since, a->e);
	a->choice.app = o->app;
	a->choice.top = top;
	return r;
}

static int look(struct asking *a, const char *name)
{
	struct pins pins;
	int r = pins_init(&pins, a->o->bpffs, a->o->run_dir, "-", a->e);

	if (!r)
		r = pins_enter(&pins, a->e);
	if (r || name)
		return r ? r : look_at(name, a);
	r = pin_each_fence(&pins, look_at, a);
	if (!r && !a->seen)
		r = err_set(a->e, -ENOENT, "no fence is up; raise one with 'tunfence up NAME'");
	else if ((r == -EACCES || r == -EPERM) && !a->seen)
		err_set(a->e, r, "'%s' cannot be read: %s; are you root?", pins.own_root, strerror(-r));
	return r;
}

int cmd_blocked(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct asking a = { .o = o, .now = now_read(), .fences = json_array(), .e = e };
	int r = argc ? config_check_name(argv[0], e) : 0;

	if (!r)
		r = read_choice(&a);
	if (!r)
		r = world_netns(&a.netns, e);
	if (!r)
		r = look(&a, argc ? argv[0] : NULL);
	if (!r && o->json && !o->clear) {
		json_t *j = json_pack("{s:i, s:I, s:O}", "version", 1, "now",
				      (json_int_t)now_real(&a.now), "fences", a.fences);

		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
	}
	json_decref(a.fences);
	return r ? r : EXIT_DONE;
}
