// SPDX-License-Identifier: GPL-2.0
/* Requests to PID 1: see systemd.h. Knows nothing of fences. */
#include "systemd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "dbus.h"
#include "util.h"

#define BOOTED "/run/systemd/system"
#define SOCKET "/run/systemd/private"
#define SERVICE "org.freedesktop.systemd1"
#define MANAGER "/org/freedesktop/systemd1"
#define PATIENCE_MS 25000

enum {
	LINE = 128, /* of the greeting */
	PATH = 512, /* of an object, such as a unit or a job */
};

struct connection {
	int fd;
	long long deadline; /* of the monotonic clock, in ms */
	unsigned char *message;
	__u32 serial;       /* of the last call */
	const char *unit;   /* what all of it is about; NULL: systemd itself */
	struct err *e;
};

static void connection_close(struct connection *c)
{
	cleanup_close(&c->fd);
	free(c->message);
}

bool systemd_is_running(void)
{
	struct stat st;

	return lstat(BOOTED, &st) == 0 && S_ISDIR(st.st_mode);
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int broken(const struct connection *c, int code)
{
	return err_set(c->e, code, "systemd does not answer at '%s': %s", SOCKET, strerror(-code));
}

/* Waits until there is something to read, or the time is over. */
static int wait_for_data(const struct connection *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	long long left = c->deadline - now_ms();
	int r = left > 0 ? poll(&p, 1, (int)left) : 0;

	if (r < 0)
		return broken(c, -errno);
	return r ? 0 : broken(c, -ETIMEDOUT);
}

static int receive(const struct connection *c, void *data, size_t length)
{
	unsigned char *to = data;

	while (length) {
		int r = wait_for_data(c);
		ssize_t n;

		if (r)
			return r;
		n = recv(c->fd, to, length, 0);
		if (n <= 0)
			return broken(c, n ? -errno : -ECONNRESET);
		to += n;
		length -= (size_t)n;
	}
	return 0;
}

static int transmit(const struct connection *c, const void *data, size_t length)
{
	ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);

	if (n < 0)
		return broken(c, -errno);
	return (size_t)n == length ? 0 : broken(c, -EIO);
}

/* Who we are is seen by the socket; the name is the user's number, each digit in hexadecimal. All in
 * one: what came in behind a BEGIN of its own, in the same read, systemd would leave lying. */
static int greet(const struct connection *c)
{
	char hello[LINE] = "_AUTH EXTERNAL ", line[LINE], number[16];
	size_t i, length = 0;
	int r;

	snprintf(number, sizeof(number), "%u", geteuid());
	for (i = 0; number[i]; i++)
		sprintf(hello + strlen(hello), "%02x", number[i]);
	strcat(hello, "\r\nBEGIN\r\n");
	length = strlen(hello);
	hello[0] = '\0'; /* what a connection begins with */
	r = transmit(c, hello, length);
	for (i = 0; !r && (i == 0 || line[i - 1] != '\n'); i++) {
		if (i == sizeof(line))
			return broken(c, -EBADMSG);
		r = receive(c, line + i, 1);
	}
	if (r)
		return r;
	return strncmp(line, "OK ", 3) == 0 ? 0 : broken(c, -EACCES);
}

static int connect_to_systemd(struct connection *c)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	c->deadline = now_ms() + PATIENCE_MS;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return broken(c, -errno);
	return greet(c);
}

/* The next message; valid until the one after it. */
static int next_message(struct connection *c, struct dbus_message *ret)
{
	unsigned char head[DBUS_HEAD];
	size_t length;
	int r = receive(c, head, sizeof(head));

	if (r)
		return r;
	length = dbus_message_length(head);
	free(c->message);
	c->message = length ? malloc(length) : NULL;
	if (!c->message)
		return broken(c, length ? -ENOMEM : -EBADMSG);
	memcpy(c->message, head, sizeof(head));
	r = receive(c, c->message + sizeof(head), length - sizeof(head));
	if (!r && dbus_parse(c->message, length, ret))
		r = broken(c, -EBADMSG);
	return r;
}

/* One call, and the answer to it, which is valid until the next message. */
static int ask(struct connection *c, const struct dbus_call *what, struct dbus_message *ret)
{
	struct dbus_call call = *what;
	struct dbus_writer w = {};
	struct dbus_message m = {};
	const char *text;
	int r;

	call.serial = ++c->serial;
	call.destination = SERVICE;
	dbus_put_call(&w, &call);
	if (w.full)
		return err_set(c->e, -E2BIG, "the request about '%s' is too long", c->unit);
	r = transmit(c, w.data, w.length);
	while (!r && (m.reply_to != c->serial || (m.type != DBUS_RETURN && m.type != DBUS_ERROR)))
		r = next_message(c, &m);
	if (r)
		return r;
	if (m.type == DBUS_ERROR) {
		struct dbus_reader reader = { .data = m.body, .length = m.body_length };

		if (*m.signature != 's' || dbus_get_string(&reader, &text))
			return broken(c, -EBADMSG);
		return err_set(c->e, -EIO, "systemd refuses '%s': %s", c->unit ? c->unit : call.member,
			       text);
	}
	*ret = m;
	return 0;
}

/* One that is answered by an object: a unit, or a job. */
static int ask_for_object(struct connection *c, const char *member, const char *signature,
			  const struct dbus_writer *body, char ret[PATH])
{
	const struct dbus_call call = { .path = MANAGER, .interface = SERVICE ".Manager",
					.member = member, .signature = signature, .body = body };
	struct dbus_message m;
	struct dbus_reader reader;
	const char *path;
	int r = ask(c, &call, &m);

	if (r)
		return r;
	reader = (struct dbus_reader){ .data = m.body, .length = m.body_length };
	if (!streq(m.signature, "o") || dbus_get_string(&reader, &path) || strlen(path) >= PATH)
		return broken(c, -EBADMSG);
	strcpy(ret, path);
	return 0;
}

/* JobRemoved(number, job, unit, result) says how it ended. */
static int wait_for_job(struct connection *c, const char *unit, const char *job)
{
	for (;;) {
		const char *path, *name, *result;
		struct dbus_reader reader;
		struct dbus_message m;
		__u32 number;
		int r = next_message(c, &m);

		if (r)
			return r;
		reader = (struct dbus_reader){ .data = m.body, .length = m.body_length };
		if (m.type != DBUS_SIGNAL || !streq(m.member, "JobRemoved") ||
		    !streq(m.signature, "uoss") || dbus_get_u32(&reader, &number) ||
		    dbus_get_string(&reader, &path) || dbus_get_string(&reader, &name) ||
		    dbus_get_string(&reader, &result) || !streq(path, job))
			continue;
		if (streq(result, "done"))
			return 0;
		return err_set(c->e, -EIO,
			       "systemd could not do what was asked of '%s' (%s); see 'systemctl "
			       "status %s'", unit, result, unit);
	}
}

/* A call about a unit that makes a job, and the job's end. */
static int call(const char *unit, const char *member, const char *signature,
		const struct dbus_writer *body, struct err *e)
{
	_cleanup_(connection_close) struct connection c = { .fd = -1, .unit = unit, .e = e };
	char job[PATH];
	int r = connect_to_systemd(&c);

	if (!r)
		r = ask_for_object(&c, member, signature, body, job);
	return r ? r : wait_for_job(&c, unit, job);
}

static int call_with_mode(const char *member, const char *unit, struct err *e)
{
	struct dbus_writer body = {};

	dbus_put_string(&body, unit);
	dbus_put_string(&body, "replace");
	return call(unit, member, "ss", &body, e);
}

int systemd_start_unit(const char *unit, struct err *e)
{
	return call_with_mode("StartUnit", unit, e);
}

int systemd_stop_unit(const char *unit, struct err *e)
{
	return call_with_mode("StopUnit", unit, e);
}

/* The answer comes when it is done. */
int systemd_reload(struct err *e)
{
	_cleanup_(connection_close) struct connection c = { .fd = -1, .e = e };
	const struct dbus_writer nothing = {};
	const struct dbus_call reload = { .path = MANAGER, .interface = SERVICE ".Manager",
					  .member = "Reload", .signature = "", .body = &nothing };
	struct dbus_message m;
	int r = connect_to_systemd(&c);

	return r ? r : ask(&c, &reload, &m);
}

/* A variant with a text or a boolean in it. */
static int read_value(const struct connection *c, const struct dbus_message *m,
		      char ret[SYSTEMD_VALUE])
{
	struct dbus_reader reader = { .data = m->body, .length = m->body_length };
	const char *type, *text;
	__u32 number;

	if (!streq(m->signature, "v") || dbus_get_signature(&reader, &type))
		return broken(c, -EBADMSG);
	if (streq(type, "b") && dbus_get_u32(&reader, &number) == 0)
		text = number ? "yes" : "no";
	else if (!streq(type, "s") || dbus_get_string(&reader, &text))
		return broken(c, -EBADMSG);
	if (strlen(text) >= SYSTEMD_VALUE)
		return broken(c, -EMSGSIZE);
	strcpy(ret, text);
	return 0;
}

int systemd_get_property(const char *unit, const struct systemd_property *property,
			 char ret[SYSTEMD_VALUE], struct err *e)
{
	_cleanup_(connection_close) struct connection c = { .fd = -1, .unit = unit, .e = e };
	struct dbus_writer name = {}, arguments = {};
	char path[PATH], interface[64];
	const struct dbus_call get = { .path = path, .interface = "org.freedesktop.DBus.Properties",
				       .member = "Get", .signature = "ss", .body = &arguments };
	struct dbus_message m;
	int r = connect_to_systemd(&c);

	dbus_put_string(&name, unit);
	snprintf(interface, sizeof(interface), SERVICE ".%s", property->kind);
	dbus_put_string(&arguments, interface);
	dbus_put_string(&arguments, property->name);
	if (!r)
		r = ask_for_object(&c, "LoadUnit", "s", &name, path);
	if (!r)
		r = ask(&c, &get, &m);
	return r ? r : read_value(&c, &m, ret);
}

static void put_property(struct dbus_writer *w, const char *name, const char *value)
{
	dbus_align(w, 8);
	dbus_put_string(w, name);
	dbus_put_signature(w, "s");
	dbus_put_string(w, value);
}

int systemd_start_scope(const struct systemd_scope *scope, struct err *e)
{
	struct dbus_writer body = {};
	size_t properties, pids, others;

	dbus_put_string(&body, scope->unit);
	dbus_put_string(&body, "fail");
	properties = dbus_open_array(&body, 8);
	put_property(&body, "Description", scope->description);
	put_property(&body, "Slice", scope->slice);
	put_property(&body, "CollectMode", "inactive-or-failed");
	dbus_align(&body, 8);
	dbus_put_string(&body, "PIDs");
	dbus_put_signature(&body, "au");
	pids = dbus_open_array(&body, 4);
	dbus_put_u32(&body, (__u32)scope->pid);
	dbus_close_array(&body, pids, 4);
	dbus_close_array(&body, properties, 8);
	others = dbus_open_array(&body, 8); /* units to make with it: none */
	dbus_close_array(&body, others, 8);
	return call(scope->unit, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, e);
}
