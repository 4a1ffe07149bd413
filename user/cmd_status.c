// SPDX-License-Identifier: GPL-2.0
/* tunfence status: whether it is safe, and what to do if not. Exit 3 unless all of it holds. */
#include <errno.h>
#include <string.h>

#include "colour.h"
#include "command.h"
#include "config.h"
#include "json_text.h"
#include "pin.h"
#include "text.h"
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
	const struct colours c = colours_for(stdout);
	char shown[TEXT_ROOM(sizeof(e->text))];

	s->fenced = false;
	if (s->o->json)
		json_array_append_new(s->fences,
				      json_pack("{s:s, s:b, s:[o]}", "name", name, "fenced", false,
						"problems", json_text(e->text)));
	else
		printf("%s%s: %sNOT KNOWN TO BE FENCED%s\n  do first   %s\n",
		       s->seen > 1 ? "\n" : "", name, c.bad, c.plain,
		       text_escape(e->text, sizeof(e->text), shown, sizeof(shown)));
}

static void print(const struct status *s, const struct view *v)
{
	if (s->seen > 1)
		putchar('\n');
	view_print(v, s->o->verbose, stdout);
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
	view_look_closer(v, s->o->socket_dir);
	s->fenced = s->fenced && v->safe;
	if (s->o->json)
		json_array_append_new(s->fences, view_json(v));
	else
		print(s, v);
	return 0;
}

int cmd_status(const struct options *o, int argc, char *argv[], struct err *e)
{
	const struct colours c = colours_for(stdout);
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
		printf("%snot fenced%s: no fence is up\n", c.bad, c.plain);
	}
	json_decref(s.fences);
	if (r)
		return r;
	return s.fenced ? EXIT_DONE : EXIT_NOT_FENCED;
}
