// SPDX-License-Identifier: GPL-2.0
/* tunfence verify: fires every leak vector without and with the fence, and prints what was seen. */
#define _GNU_SOURCE /* strerrorname_np */

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "verify_world.h"

enum { NAME_WIDTH = 26, TOLD_WIDTH = 20 };

/* All that a run collects. */
struct report {
	const struct options *o;
	const char *script;
	struct verify_run run;
	const char *tunnel; /* what is wrong with it; NULL: it works with the fence */
	unsigned int count[VERIFY_VERDICTS], fired;
	unsigned int open; /* "not tested", and leak: the fence had to do without BPF LSM */
	const struct vector_group *heading; /* printed last */
	json_t *list;
	bool colours;
};

/* Ctrl-C stays pending, here and in whatever a run starts: a run ends between two vectors. */
static void hold_interrupts(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool goes_on(void)
{
	sigset_t set;

	return sigpending(&set) < 0 || sigismember(&set, SIGINT) != 1;
}

static const char *verdict_name(enum verify_verdict verdict)
{
	static const char *const names[] = {
		[VERIFY_HELD] = "held",
		[VERIFY_LEAKED] = "LEAKED",
		[VERIFY_NOT_TESTED] = "not tested",
		[VERIFY_FAILED] = "no verdict",
	};

	return names[verdict];
}

static const char *verdict_key(enum verify_verdict verdict)
{
	static const char *const keys[] = {
		[VERIFY_HELD] = "held",
		[VERIFY_LEAKED] = "leaked",
		[VERIFY_NOT_TESTED] = "not_tested",
		[VERIFY_FAILED] = "no_verdict",
	};

	return keys[verdict];
}

static const char *verdict_colour(enum verify_verdict verdict)
{
	static const char *const colours[] = {
		[VERIFY_HELD] = "\033[32m",
		[VERIFY_LEAKED] = "\033[1;31m",
		[VERIFY_NOT_TESTED] = "\033[33m",
		[VERIFY_FAILED] = "\033[1;31m",
	};

	return colours[verdict];
}

static const char *told_name(const struct verify_shot *shot)
{
	int told = shot->prepared ? shot->prepared : shot->told;
	const char *name = told ? strerrorname_np(-told) : "ok";

	return name ? name : "?";
}

/* ---- text ----------------------------------------------------------------------------------- */

static const char *group_summary(const struct vector_group *g)
{
	size_t i;

	for (i = 0; i < verify_group_count; i++) {
		if (verify_groups[i].group == g)
			return verify_groups[i].summary;
	}
	return "";
}

static void print_heading(struct report *rep, const struct vector_group *g)
{
	if (rep->heading == g)
		return;
	rep->heading = g;
	printf("\n%s: %s\n", g->name, group_summary(g));
}

static void print_verdict(const struct report *rep, const struct verify_result *r)
{
	printf("%s%s%s", rep->colours ? verdict_colour(r->verdict) : "", verdict_name(r->verdict),
	       rep->colours ? "\033[0m" : "");
	if (r->verdict == VERIFY_NOT_TESTED)
		printf(" (%s)", r->why.text);
	else if (r->why.text[0])
		printf("\n      %.90s", r->why.text);
	putchar('\n');
}

static void print_row(struct report *rep, const struct verify_result *r)
{
	char fenced[16] = "-", told[64];

	print_heading(rep, r->group);
	if (r->has_fenced)
		snprintf(fenced, sizeof(fenced), "%u", r->fenced.frames);
	snprintf(told, sizeof(told), "%s%s%s", told_name(&r->open), r->has_fenced ? ", " : "",
		 r->has_fenced ? told_name(&r->fenced) : "");
	printf("  %-*s %6u %6s  %-*s ", NAME_WIDTH, r->vector->name, r->open.frames, fenced,
	       TOLD_WIDTH, told);
	print_verdict(rep, r);
	fflush(stdout);
}

static void print_summary(const struct report *rep)
{
	printf("\n%u vector%s: %u leaked, %u held, %u not tested", rep->fired,
	       rep->fired == 1 ? "" : "s", rep->count[VERIFY_LEAKED], rep->count[VERIFY_HELD],
	       rep->count[VERIFY_NOT_TESTED]);
	if (rep->open)
		printf(" (%u of them leak here, without BPF LSM)", rep->open);
	if (rep->count[VERIFY_FAILED])
		printf(", %u without a verdict", rep->count[VERIFY_FAILED]);
	printf("\n%s\n", rep->tunnel ? rep->tunnel : "the tunnel works with the fence up");
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *shot_json(const struct verify_shot *shot)
{
	return json_pack("{s:i, s:s}", "frames", (int)shot->frames, "told", told_name(shot));
}

static void add_json(struct report *rep, const struct verify_result *r)
{
	json_array_append_new(
		rep->list,
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "group", r->group->name, "name",
			  r->vector->name, "summary", r->vector->summary, "unfenced",
			  shot_json(&r->open), "fenced",
			  r->has_fenced ? shot_json(&r->fenced) : json_null(), "verdict",
			  verdict_key(r->verdict), "why", r->why.text));
}

static void print_json(struct report *rep)
{
	json_t *totals = json_object(), *j;
	size_t i;

	json_object_set_new(totals, "vectors", json_integer(rep->fired));
	for (i = 0; i < VERIFY_VERDICTS; i++)
		json_object_set_new(totals, verdict_key((enum verify_verdict)i),
				    json_integer(rep->count[i]));
	j = json_pack("{s:i, s:s, s:s, s:b, s:o, s:o}", "version", 1, "tunfence", TUNFENCE_VERSION,
		      "by", rep->script ? rep->script : "tunfence", "tunnel_works", !rep->tunnel,
		      "vectors", rep->list, "totals", totals);
	rep->list = NULL;
	json_dumpf(j, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(j);
}

/* ---- the run -------------------------------------------------------------------------------- */

static void tell(const struct verify_result *r, void *data)
{
	struct report *rep = data;

	rep->fired++;
	rep->count[r->verdict]++;
	rep->open += r->verdict == VERIFY_NOT_TESTED && r->fenced.frames;
	if (rep->o->json)
		add_json(rep, r);
	else
		print_row(rep, r);
}

/* A fence that cannot be raised ends the run; one that blocks its own tunnel is a result. */
static int check_tunnel(struct report *rep, struct err *e)
{
	int r = verify_tunnel_check(&rep->run, false, e);

	if (r)
		return r;
	r = verify_tunnel_check(&rep->run, true, e);
	if (r != -ENOTCONN)
		return r;
	rep->tunnel = "THE FENCE BLOCKS THE TUNNEL: no page comes through";
	return 0;
}

static int run(struct report *rep, struct err *e)
{
	const struct verify_audience audience = { .tell = tell, .goes_on = goes_on, .data = rep };
	int r = verify_run_begin(&rep->run, rep->o->cgroup, e);

	if (!r)
		r = check_tunnel(rep, e);
	if (r)
		return r;
	if (!rep->o->json)
		printf("%-*s %6s %6s  %-*s verdict\n", NAME_WIDTH + 2, "frames on the wire, fence:",
		       "down", "up", TOLD_WIDTH, "sender was told");
	r = verify_all(&rep->run, rep->o->only, &audience, e);
	if (r)
		return r;
	if (rep->o->json)
		print_json(rep);
	else
		print_summary(rep);
	return goes_on() ? 0 : err_set(e, -EINTR, "interrupted: not all vectors were fired");
}

/* In the private namespaces. */
static int run_isolated(void *data)
{
	struct report *rep = data;
	struct err e = {};
	int r;

	hold_interrupts();
	rep->run.script = rep->script;
	rep->colours = isatty(STDOUT_FILENO);
	rep->list = json_array();
	r = run(rep, &e);
	verify_worlds_free(&rep->run);
	verify_run_end(&rep->run);
	json_decref(rep->list);
	if (r)
		r = command_failed(&e);
	else if (rep->tunnel || rep->count[VERIFY_LEAKED] || rep->count[VERIFY_FAILED])
		r = EXIT_FAILED;
	fflush(NULL);
	return r;
}

static bool means_something(const char *pattern)
{
	size_t g, v;

	for (g = 0; g < verify_group_count; g++) {
		const struct vector_group *group = verify_groups[g].group;

		for (v = 0; v < group->count; v++)
			if (verify_is_chosen(pattern, group, &group->vectors[v]))
				return true;
	}
	return false;
}

/* Each name of the list, lest a vector is left out by a slip of the pen. */
static int check_only(const char *only, struct err *e)
{
	_cleanup_free_ char *names = strdup(only);
	char *rest = names, *name;

	if (!names)
		return err_set(e, -ENOMEM, "out of memory");
	while ((name = strsep(&rest, ","))) {
		if (!*name)
			return err_set(e, -EINVAL, "'%s' has an empty name in it; separate names by "
				       "one ','", only);
		if (!means_something(name))
			return err_set(e, -ENOENT, "no vector and no group is called '%s'; "
				       "'tunfence verify' prints their names", name);
	}
	return 0;
}

static int check_script(const char *script, char path[PATH_MAX], struct err *e)
{
	if (!realpath(script, path) || access(path, X_OK) < 0)
		return err_set(e, -errno, "'%s' cannot be run: %s", script, strerror(errno));
	if (strncmp(path, "/run/", 5) == 0)
		return err_set(e, -EINVAL, "'%s' lies in '/run', which is another one inside of "
			       "verify; copy it elsewhere", path);
	return 0;
}

int cmd_verify(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct report rep = { .o = o };
	char script[PATH_MAX];
	int r = o->only ? check_only(o->only, e) : 0;

	(void)argc, (void)argv;
	if (r)
		return r;
	if (geteuid() != 0)
		return err_set(e, -EPERM, "verify needs root: it makes network namespaces, a cgroup "
			       "and a fence in them");
	if (o->by) {
		r = check_script(o->by, script, e);
		if (r)
			return r;
		rep.script = script;
	}
	return verify_isolate(run_isolated, &rep, e);
}
