// SPDX-License-Identifier: GPL-2.0
/*
 * The loop of the watcher: see watch.h. The kernel tells of a kind at once and then once a second at
 * most; so what came between the last event and the end of a burst is looked up when it is quiet.
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "kinds.h"
#include "listen.h"
#include "util.h"
#include "when.h"

#define NS_PER_S 1000000000ULL
#define SETTLE_NS (TF_EVENT_NS + TF_EVENT_NS / 2)

enum watch_time {
	TICK_MS = 1000,
	EAGER_S = 3,      /* looks each second for so long after something seems to have changed */
	LOOK_EVERY_S = 15, /* and so often anyway */
};

struct ear {
	struct watched fence;
	struct listener *listener;
	__u32 number; /* no other has or had it */
	bool seen;    /* in the look that is under way */
	struct ear *next;
};

struct watch {
	const struct look_place *place;
	const struct watch_calls *calls;
	struct kinds *kinds;
	struct ear *ears;
	struct ear *of; /* whose events are being taken */
	size_t count;
	__u32 numbers;
	int signals, out;
	sigset_t before;
	__u64 start, tick, look, eager, sign;
	char told[512]; /* the complaint of the last time */
	struct err failed; /* of a look */
	bool end;
};

static void complain(struct watch *w, const char *text)
{
	if (streq(w->told, text))
		return;
	snprintf(w->told, sizeof(w->told), "%s", text);
	w->calls->complain(text, w->calls->data);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void tell(struct watch *w, const struct ear *ear, struct kind *kind, bool is_new,
		 const struct tf_event *event, const struct tf_blocked *value)
{
	struct drop drop = {
		.fence = &ear->fence,
		.entry = { .key = kind->key, .value = *value },
		.quiet = is_new			   ? NEVER_HEARD :
			 value->last > kind->last ? value->last - kind->last :
						     0,
		.event = event,
	};

	drop.count = kind_count(kind, is_new, value, w->start);
	if (drop.count)
		w->calls->dropped(&drop, w->calls->data);
}

static void hear(const struct tf_event *event, void *data)
{
	struct watch *w = data;
	struct tf_blocked value = {
		.packets = event->packets,
		.bytes = event->bytes,
		.first = event->first,
		.last = event->time,
		.pid = event->pid,
	};
	bool is_new;
	struct kind *kind = kinds_find(w->kinds, w->of->number, &event->key, &is_new);

	memcpy(value.question, event->question, sizeof(value.question));
	tell(w, w->of, kind, is_new, event, &value);
	kind->open = true;
}

static struct ear *ear_by_number(const struct watch *w, __u32 number)
{
	struct ear *ear;

	for (ear = w->ears; ear && ear->number != number; ear = ear->next)
		;
	return ear;
}

/* No event came any more. What is not there any more nobody can tell. */
static void settle(struct kind *kind, void *data)
{
	struct watch *w = data;
	const struct ear *ear = ear_by_number(w, kind->fence);
	struct tf_blocked value;

	if (ear && listener_recall(ear->listener, &kind->key, &value) == 0 &&
	    value.packets > kind->packets)
		tell(w, ear, kind, false, NULL, &value);
}

static int take_events(struct watch *w, struct err *e)
{
	int r = 0;

	for (w->of = w->ears; !r && w->of; w->of = w->of->next)
		r = listener_take(w->of->listener, hear, w, e);
	return r;
}

/* ---- fences ---------------------------------------------------------------------------------- */

static void ear_free(struct ear *ear)
{
	listener_close(ear->listener);
	free(ear);
}

static struct ear *ear_by_name(const struct watch *w, const char *name)
{
	struct ear *ear;

	for (ear = w->ears; ear && !streq(ear->fence.name, name); ear = ear->next)
		;
	return ear;
}

static void forget(struct watch *w, struct ear *gone)
{
	struct ear **at;

	for (at = &w->ears; *at != gone; at = &(*at)->next)
		;
	*at = gone->next;
	w->count--;
	kinds_drop(w->kinds, gone->number);
	ear_free(gone);
}

static void update(struct ear *ear, const struct sighting *s)
{
	ear->fence.netns = s->netns;
	ear->fence.observe = s->mode == TF_MODE_OBSERVE;
	ear->seen = true;
}

static int begin_to_hear(struct watch *w, const struct sighting *s, struct maps *m, struct err *e)
{
	struct ear *ear = calloc(1, sizeof(*ear));
	int r = ear ? listener_open(m, &ear->listener, e) : err_set(e, -ENOMEM, "out of memory");

	if (r) {
		free(ear);
		return r;
	}
	memcpy(ear->fence.name, s->name, sizeof(ear->fence.name));
	ear->number = ++w->numbers;
	ear->next = w->ears;
	w->ears = ear;
	w->count++;
	update(ear, s);
	w->calls->came(&ear->fence, w->calls->data);
	return 0;
}

/* Lowered and raised again it is another fence, whatever its name. */
static int see(const struct sighting *s, struct maps *m, void *data)
{
	struct watch *w = data;
	struct ear *ear = ear_by_name(w, s->name);
	int r;

	if (s->code) {
		complain(w, s->text);
		if (ear)
			ear->seen = true;
		return 0;
	}
	if (ear && listener_hears(ear->listener, m)) {
		update(ear, s);
		return 0;
	}
	if (ear)
		forget(w, ear);
	r = begin_to_hear(w, s, m, &w->failed);
	if (r && w->place->name && !w->look)
		return r; /* the only one there is to watch */
	if (r)
		complain(w, w->failed.text);
	return 0;
}

static void forget_unseen(struct watch *w)
{
	struct ear *ear, *next;

	for (ear = w->ears; ear; ear = next) {
		next = ear->next;
		if (ear->seen)
			continue;
		w->calls->went(&ear->fence, w->calls->data);
		forget(w, ear);
	}
}

/* Silence would be taken for "nothing is dropped". */
static void say_that_it_waits(struct watch *w)
{
	char text[128];

	if (w->place->name)
		snprintf(text, sizeof(text), "fence '%s' is not up; waiting for it",
			 w->place->name);
	else
		snprintf(text, sizeof(text), "no fence is up; waiting for one");
	complain(w, text);
}

/* A look that failed says nothing of what there is. Only the first one ends the watch by that. */
static int look(struct watch *w, __u64 now, struct err *e)
{
	struct ear *ear;
	int r;

	for (ear = w->ears; ear; ear = ear->next)
		ear->seen = false;
	r = watch_look(w->place, see, w, &w->failed);
	if (!r)
		forget_unseen(w);
	else if (w->look)
		complain(w, w->failed.text);
	else
		return err_set(e, r, "%s", w->failed.text);
	if (!w->look && !w->ears && !w->told[0])
		say_that_it_waits(w);
	w->look = now;
	return 0;
}

static int look_if_due(struct watch *w, __u64 now, struct err *e)
{
	const __u64 sign = watch_look_sign(w->place->bpffs);

	if (sign != w->sign)
		w->eager = now + EAGER_S * NS_PER_S;
	w->sign = sign;
	if (w->look && now >= w->eager && now < w->look + LOOK_EVERY_S * NS_PER_S)
		return 0;
	return look(w, now, e);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* One whose slot is another's by now is heard anew with the next look. */
static void renew(struct watch *w)
{
	struct ear *ear, *next;
	__u64 lost;

	for (ear = w->ears; ear; ear = next) {
		next = ear->next;
		lost = listener_lost(ear->listener);
		if (lost)
			w->calls->lost(&ear->fence, lost, w->calls->data);
		if (listener_renew(ear->listener) == 0)
			continue;
		complain(w, "was stopped for too long, and did not hear what was dropped meanwhile");
		forget(w, ear);
		w->eager = w->tick + EAGER_S * NS_PER_S;
	}
}

static int tick(struct watch *w, struct err *e)
{
	const __u64 now = now_read().boot;

	if (w->tick && now < w->tick + TICK_MS * (NS_PER_S / 1000))
		return 0;
	w->tick = now;
	renew(w);
	kinds_settle(w->kinds, now - SETTLE_NS, settle, w);
	return look_if_due(w, now, e);
}

static int time_left(const struct watch *w)
{
	const __u64 due = w->tick + TICK_MS * (NS_PER_S / 1000), now = now_read().boot;

	return now < due ? (int)((due - now) / (NS_PER_S / 1000)) + 1 : 0;
}

static int wait_for_news(struct watch *w, struct err *e)
{
	_cleanup_free_ struct pollfd *fds = calloc(w->count + 2, sizeof(*fds));
	struct signalfd_siginfo info;
	struct ear *ear;
	nfds_t n = 0;

	if (!fds)
		return err_set(e, -ENOMEM, "out of memory");
	fds[n++] = (struct pollfd){ .fd = w->signals, .events = POLLIN };
	fds[n++] = (struct pollfd){ .fd = w->out }; /* errors alone */
	for (ear = w->ears; ear; ear = ear->next)
		fds[n++] = (struct pollfd){ .fd = listener_fd(ear->listener), .events = POLLIN };
	if (poll(fds, n, time_left(w)) < 0 && errno != EINTR)
		return err_set(e, -errno, "cannot wait for events: %s", strerror(errno));
	w->end = read(w->signals, &info, sizeof(info)) == (ssize_t)sizeof(info) ||
		 fds[1].revents & (POLLERR | POLLHUP | POLLNVAL);
	return 0;
}

static int turn(struct watch *w, struct err *e)
{
	int r = tick(w, e);

	if (!r)
		r = w->calls->done(w->calls->data, e);
	if (!r)
		r = wait_for_news(w, e);
	if (!r)
		r = take_events(w, e);
	return r ? r : w->calls->done(w->calls->data, e);
}

/* What is counted and not yet told is told, so that the last numbers are right. */
static int finish(struct watch *w, struct err *e)
{
	int r = take_events(w, e);

	kinds_settle(w->kinds, ~0ULL, settle, w);
	return r ? r : w->calls->done(w->calls->data, e);
}

/* ---- begin and end --------------------------------------------------------------------------- */

/* Several for each fence, of which there may be hundreds. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int hold_signals(struct watch *w, struct err *e)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &wanted, &w->before) == 0)
		w->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signals < 0)
		return err_set(e, -errno, "cannot wait for signals: %s", strerror(errno));
	return 0;
}

static void watch_close(struct watch *w)
{
	struct ear *ear;

	while ((ear = w->ears)) {
		w->ears = ear->next;
		ear_free(ear);
	}
	cleanup_close(&w->signals);
	free(w->kinds);
}

int watch_run(const struct look_place *place, int out, const struct watch_calls *calls,
	      struct err *e)
{
	_cleanup_(watch_close) struct watch w = {
		.place = place,
		.calls = calls,
		.kinds = calloc(1, sizeof(*w.kinds)),
		.signals = -1,
		.out = out,
		.start = now_read().boot,
	};
	int r = w.kinds ? hold_signals(&w, e) : err_set(e, -ENOMEM, "out of memory");

	raise_limit();
	while (!r && !w.end)
		r = turn(&w, e);
	return r ? r : finish(&w, e);
}
