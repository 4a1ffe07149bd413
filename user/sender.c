// SPDX-License-Identifier: GPL-2.0
/* Who sent it: see sender.h. What cannot be found out is left out, never guessed. */
#define _GNU_SOURCE /* fgetpwent */

#include "sender.h"

#include <errno.h>
#include <fnmatch.h>
#include <net/if.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "util.h"

#define NS_PER_S 1000000000ULL
#define FIRST_PID_NAMESPACE 0xeffffffcUL /* PROC_PID_INIT_INO of include/linux/proc_ns.h */

const char *sender_name(enum tf_sender sender)
{
	static const char *const names[] = {
#define X(NAME, name) [TF_SENDER_##NAME] = #name,
		TF_SENDERS(X)
#undef X
	};

	return sender < TF_SENDER_COUNT ? names[sender] : "unknown";
}

/* ---- the process ----------------------------------------------------------------------------- */

/* stat: /proc/PID/stat. The name, in brackets, may hold anything; 20 words behind it is when the
 * process began, in ticks since boot, time asleep included. */
bool sender_runs(const char *stat, __u64 last)
{
	const char *at = strrchr(stat, ')');
	unsigned long long ticks = 0;
	char *end = NULL;
	long per_second = sysconf(_SC_CLK_TCK);
	int i;

	for (i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	if (at)
		ticks = strtoull(at + 1, &end, 10);
	if (!at || end == at + 1 || per_second <= 0)
		return false;
	return ticks / (unsigned long long)per_second <= last / NS_PER_S;
}

/* Programs of the kernel number processes as the machine does; a container numbers its own anew. */
static bool has_machines_numbers(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NAMESPACE;
}

static bool is_running(__u32 pid, __u64 last)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], stat[1024];
	size_t n;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	file = fopen(path, "re");
	n = file ? fread(stat, 1, sizeof(stat) - 1, file) : 0;
	stat[n] = '\0';
	return n && sender_runs(stat, last);
}

/* The file alone: other sources of users may be on the far side of the tunnel. */
static void find_user(__u32 uid, char ret[64])
{
	_cleanup_fclose_ FILE *file = NULL;
	struct passwd *pw;

	if (uid == TF_NO_UID)
		return;
	snprintf(ret, 64, "%u", uid);
	file = fopen("/etc/passwd", "re");
	while (file && (pw = fgetpwent(file))) {
		if (pw->pw_uid == uid) {
			text_escape(pw->pw_name, strlen(pw->pw_name), ret, 64);
			return;
		}
	}
}

/* ---- the cgroup ------------------------------------------------------------------------------ */

static bool is_unit(const char *name, size_t length)
{
	static const char *const kinds[] = { ".service", ".scope", ".slice", ".socket", ".mount" };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		n = strlen(kinds[i]);
		if (length > n && strncmp(name + length - n, kinds[i], n) == 0)
			return true;
	}
	return false;
}

void sender_unit(const char *path, char ret[SENDER_NAME_LEN])
{
	size_t end = strlen(path), begin;

	for (ret[0] = '\0'; end; end = begin ? begin - 1 : 0) {
		for (begin = end; begin && path[begin - 1] != '/'; begin--)
			;
		if (is_unit(path + begin, end - begin)) {
			text_escape(path + begin, end - begin, ret, SENDER_NAME_LEN);
			return;
		}
	}
}

static void find_cgroup(__u64 id, struct sender *s)
{
	char path[SENDER_PATH_LEN], mount[SENDER_PATH_LEN];
	size_t skip;
	int r;

	if (!id)
		return;
	r = cgroup_path_of(id, path);
	s->cgroup_gone = r == -ESTALE || r == -ENOENT;
	if (r)
		return;
	sender_unit(path, s->unit);
	skip = cgroup_find_mount(mount, NULL) == 0 ? strlen(mount) : 0;
	if (strncmp(path, mount, skip) != 0)
		skip = 0;
	text_escape(path[skip] ? path + skip : "/", sizeof(path) - skip, s->cgroup,
		    sizeof(s->cgroup));
}

/* ---- all of it ------------------------------------------------------------------------------- */

void sender_find(const struct blocked_entry *b, bool here, struct sender *ret)
{
	char device[IF_NAMESIZE];

	*ret = (struct sender){};
	text_escape(b->key.comm, sizeof(b->key.comm), ret->program, sizeof(ret->program));
	find_user(b->key.uid, ret->user);
	find_cgroup(b->key.cgroup, ret);
	ret->may_run = b->value.pid && has_machines_numbers();
	ret->runs = ret->may_run && is_running(b->value.pid, b->value.last);
	if (b->key.from && here && if_indextoname(b->key.from, device))
		text_escape(device, sizeof(device), ret->from, sizeof(ret->from));
}

bool sender_is_same(const struct tf_blocked_key *a, const struct tf_blocked_key *b)
{
	return a->sender == b->sender && a->cgroup == b->cgroup && a->uid == b->uid &&
	       a->from == b->from && memcmp(a->comm, b->comm, sizeof(a->comm)) == 0;
}

bool sender_is_meant(const struct sender *s, const char *word)
{
	const char *dot = strrchr(s->unit, '.');
	char stem[SENDER_NAME_LEN];

	snprintf(stem, sizeof(stem), "%.*s", dot ? (int)(dot - s->unit) : 0, s->unit);
	return (s->program[0] && fnmatch(word, s->program, 0) == 0) ||
	       (s->unit[0] && fnmatch(word, s->unit, 0) == 0) ||
	       (stem[0] && fnmatch(word, stem, 0) == 0);
}

static void put_who(const struct blocked_entry *b, const struct sender *s, FILE *out)
{
	switch ((enum tf_sender)b->key.sender) {
	case TF_SENDER_PROGRAM:
		fputs(s->program[0] ? s->program : "a program without a name", out);
		if (b->value.pid)
			fprintf(out, ", pid %u%s", b->value.pid, s->may_run && !s->runs ? " (ended)" : "");
		return;
	case TF_SENDER_OLDER:
		fputs("a program whose socket is older than the fence", out);
		return;
	case TF_SENDER_KERNEL:
		fputs("the kernel", out);
		return;
	case TF_SENDER_FORWARDED:
		if (s->from[0])
			fprintf(out, "forwarded from %s", s->from);
		else
			fprintf(out, "forwarded from device number %u", b->key.from);
		return;
	case TF_SENDER_NETWORK:
		fputs("from the network", out);
		return;
	case TF_SENDER_UNKNOWN:
	case TF_SENDER_COUNT:
		break;
	}
	fputs("unknown", out);
}

const char *sender_text(const struct blocked_entry *b, const struct sender *s,
			char buf[SENDER_TEXT_LEN])
{
	_cleanup_fclose_ FILE *out = fmemopen(buf, SENDER_TEXT_LEN, "w");

	buf[0] = '\0';
	if (!out)
		return buf;
	put_who(b, s, out);
	if (s->user[0])
		fprintf(out, ", user %s", s->user);
	if (s->unit[0])
		fprintf(out, ", %s", s->unit);
	else if (s->cgroup_gone)
		fputs(", in a cgroup that is gone", out);
	else if (s->cgroup[0] && !streq(s->cgroup, "/"))
		fprintf(out, ", cgroup %.*s", 256, s->cgroup);
	return buf;
}
