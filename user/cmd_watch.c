// SPDX-License-Identifier: GPL-2.0
/* tunfence watch: what would have leaked, as it happens. Changes nothing of a fence. */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "pcapng.h"
#include "sender.h"
#include "util.h"
#include "watch.h"
#include "watch_journal.h"
#include "watch_view.h"
#include "world.h"

enum { ETHERNET_HEADER = 14 };

struct output {
	const struct options *o;
	struct watch_style style;
	FILE *pcap; /* NULL: none */
	bool begun; /* the head is printed */
	struct watch_journal journal;
};

static void print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static bool is_chosen(const struct output *out, const struct drop *drop)
{
	struct sender s;

	if (!out->o->app)
		return true;
	sender_find(&drop->entry, drop->fence->netns == out->style.netns, &s);
	return sender_is_meant(&s, out->o->app);
}

/* Not before there is something below it: an error is no table. */
static void print_head(struct output *out)
{
	if (!out->begun)
		watch_view_head(&out->style, stdout);
	out->begun = true;
}

/* What began with another link header than Ethernet's cannot be told apart from IP, so is not there. */
static void capture(const struct drop *drop, const struct output *out)
{
	const struct tf_event *event = drop->event;
	char comment[WATCH_TEXT_LEN];
	struct sender s;
	struct pcapng_packet packet = {
		.time = when_real_ns(event->time),
		.ifindex = event->ifindex,
		.ethertype = event->ethertype,
		.arrived = event->key.plane == TF_PLANE_INGRESS,
		.bytes = event->packet,
		.captured = event->captured,
		.length = event->length - (event->ethertype ? ETHERNET_HEADER : 0),
	};

	sender_find(&drop->entry, drop->fence->netns == out->style.netns, &s);
	packet.comment = watch_view_text(drop, &s, comment);
	pcapng_write(&packet, out->pcap);
}

static void dropped(const struct drop *drop, void *data)
{
	struct output *out = data;

	if (!is_chosen(out, drop))
		return;
	if (out->pcap && drop->event && drop->event->captured)
		capture(drop, out);
	if (out->o->journal)
		watch_journal_drop(&out->journal, drop);
	else if (out->o->json)
		print_json(watch_view_json(drop, &out->style));
	else {
		print_head(out);
		watch_view_drop(drop, &out->style, stdout);
	}
}

static void note(const struct watched *fence, const char *event, const char *text, __u64 count,
		 struct output *out)
{
	json_t *j;

	if (out->o->journal)
		return;
	if (!out->o->json) {
		print_head(out);
		watch_view_note(fence, text, &out->style, stdout);
		return;
	}
	j = json_pack("{s:i, s:s, s:s}", "version", 1, "event", event, "fence", fence->name);
	if (count)
		json_object_set_new(j, "count", json_integer((json_int_t)count));
	print_json(j);
}

static void lost(const struct watched *fence, __u64 count, void *data)
{
	struct output *out = data;
	char text[128];

	watch_journal_lost(&out->journal, count);
	snprintf(text, sizeof(text), "%llu event%s lost; 'tunfence blocked' has counted the packets",
		 (unsigned long long)count, count == 1 ? "" : "s");
	note(fence, "lost", text, count, out);
}

static void came(const struct watched *fence, void *data)
{
	note(fence, "up", fence->observe ? "is up, and only observes" : "is up", 0, data);
}

static void went(const struct watched *fence, void *data)
{
	note(fence, "down", "is down: nothing of it is stopped any more", 0, data);
}

static void complain(const char *text, void *data)
{
	(void)data;
	fprintf(stderr, "tunfence: %s\n", text);
}

/* Whoever reads may have heard enough. */
static int done(void *data, struct err *e)
{
	struct output *out = data;

	if (out->o->journal)
		watch_journal_tick(&out->journal);
	if (out->pcap && ferror(out->pcap))
		return err_set(e, -EIO, "'%s' cannot be written; is the disk full?", out->o->pcap);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_set(e, errno == EPIPE ? -EPIPE : -EIO, "standard output cannot be written");
}

static int watch(const struct look_place *place, struct output *out, struct err *e)
{
	const struct watch_calls calls = {
		.dropped = dropped,
		.lost = lost,
		.came = came,
		.went = went,
		.complain = complain,
		.done = done,
		.data = out,
	};
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = watch_run(place, out->o->journal ? -1 : STDOUT_FILENO, &calls, e);
	return r && r != -EPIPE ? r : EXIT_DONE;
}

static int open_outputs(struct output *out, struct err *e)
{
	int r = 0;

	if (out->o->journal) {
		out->journal.fd = journal_open(e);
		out->journal.netns = out->style.netns;
		r = out->journal.fd < 0 ? out->journal.fd : 0;
	}
	return !r && out->o->pcap ? pcapng_create(out->o->pcap, &out->pcap, e) : r;
}

static void close_outputs(struct output *out)
{
	cleanup_close(&out->journal.fd);
	cleanup_fclose(&out->pcap);
}

int cmd_watch(const struct options *o, int argc, char *argv[], struct err *e)
{
	const struct look_place place = {
		.bpffs = o->bpffs,
		.run_dir = o->run_dir,
		.name = argc ? argv[0] : NULL,
	};
	_cleanup_(close_outputs) struct output out = {
		.o = o,
		.style = { .colours = colours_for(stdout), .fences = !argc },
		.journal.fd = -1,
	};
	int r = argc ? config_check_name(argv[0], e) : 0;

	if (!r)
		r = world_netns(&out.style.netns, e);
	if (!r)
		r = open_outputs(&out, e);
	return r ? r : watch(&place, &out, e);
}
