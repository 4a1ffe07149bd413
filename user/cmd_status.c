// SPDX-License-Identifier: GPL-2.0
/* tunfence status: what is fenced, how, and what was stopped. Exit 3 unless all of it holds. */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "pin.h"
#include "view.h"

struct status {
	const struct options *o;
	json_t *fences;
	size_t seen;
	bool fenced; /* a fence protects this namespace, and every one there is does what it should */
	struct err *e;
};

static void show_unreadable(struct status *s, const char *name, const struct err *e)
{
	s->fenced = false;
	if (s->o->json)
		json_array_append_new(s->fences,
				      json_pack("{s:s, s:b, s:[s]}", "name", name, "fenced", false,
						"problems", e->text));
	else
		printf("%s: NOT KNOWN TO BE FENCED\n  attention  %s\n", name, e->text);
}

static int show(const char *name, void *data)
{
	struct status *s = data;
	_cleanup_fence_ struct fence *f = NULL;
	_cleanup_view_ struct view *v = NULL;
	struct err e = {};
	struct pins pins;
	int r = pins_init(&pins, s->o->bpffs, s->o->run_dir, name, s->e);

	if (r)
		return r;
	r = fence_open(&pins, name, &f, &e);
	if (!r)
		r = view_read(f, s->o->run_dir, s->o->state_dir, &v, &e);
	s->seen++;
	if (r) {
		show_unreadable(s, name, &e);
		return 0;
	}
	s->fenced = s->fenced && v->safe;
	if (s->o->json)
		json_array_append_new(s->fences, view_json(v));
	else
		view_print(v, stdout);
	return 0;
}

int cmd_status(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct status s = { .o = o, .fences = json_array(), .fenced = true, .e = e };
	struct pins pins;
	int r = argc ? config_check_name(argv[0], e) : 0;

	if (!r)
		r = pins_init(&pins, o->bpffs, o->run_dir, "-", e);
	if (!r)
		r = pins_enter(&pins, e);
	if (!r && argc) {
		r = show(argv[0], &s);
	} else if (!r) {
		r = pin_each_fence(&pins, show, &s);
		if (r == -EACCES || r == -EPERM)
			err_set(e, r, "'%s' cannot be read: %s; are you root?", pins.own_root,
				strerror(-r));
	}
	s.fenced = s.fenced && s.seen;
	if (!r && o->json) {
		json_t *j = json_pack("{s:i, s:b, s:O}", "version", 1, "fenced", s.fenced, "fences",
				      s.fences);

		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
	} else if (!r && !s.seen) {
		puts("not fenced: no fence is up");
	}
	json_decref(s.fences);
	if (r)
		return r;
	return s.fenced ? EXIT_DONE : EXIT_NOT_FENCED;
}
