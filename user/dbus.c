// SPDX-License-Identifier: GPL-2.0
/* D-Bus messages: see dbus.h. Pure; every length that came from outside is checked before use. */
#include "dbus.h"

#include <errno.h>
#include <string.h>

#include "util.h"

enum field {
	FIELD_PATH = 1,
	FIELD_INTERFACE = 2,
	FIELD_MEMBER = 3,
	FIELD_REPLY_SERIAL = 5,
	FIELD_DESTINATION = 6,
	FIELD_SIGNATURE = 8,
};

enum {
	PROTOCOL = 1,
	FIELDS_AT = 12, /* where the length of the array of fields is */
};

static unsigned char native_order(void)
{
	const __u16 one = 1;

	return *(const unsigned char *)&one ? 'l' : 'B';
}

/* ---- writing ---- */

static void put(struct dbus_writer *w, const void *data, size_t length)
{
	if (w->full || length > sizeof(w->data) - w->length) {
		w->full = true;
		return;
	}
	memcpy(w->data + w->length, data, length);
	w->length += length;
}

void dbus_align(struct dbus_writer *w, size_t bytes)
{
	static const unsigned char zeros[8];

	put(w, zeros, (bytes - w->length % bytes) % bytes);
}

void dbus_put_u32(struct dbus_writer *w, __u32 value)
{
	dbus_align(w, 4);
	put(w, &value, sizeof(value));
}

void dbus_put_string(struct dbus_writer *w, const char *text)
{
	dbus_put_u32(w, (__u32)strlen(text));
	put(w, text, strlen(text) + 1);
}

void dbus_put_signature(struct dbus_writer *w, const char *text)
{
	unsigned char length = (unsigned char)strlen(text);

	put(w, &length, 1);
	put(w, text, strlen(text) + 1);
}

/* The length comes when it is known; it does not count the padding in front of the first element. */
size_t dbus_open_array(struct dbus_writer *w, size_t alignment)
{
	size_t opened;

	dbus_put_u32(w, 0);
	opened = w->length;
	dbus_align(w, alignment);
	return opened;
}

void dbus_close_array(struct dbus_writer *w, size_t opened, size_t alignment)
{
	size_t start = opened + (alignment - opened % alignment) % alignment;
	__u32 length = (__u32)(w->length - start);

	if (!w->full)
		memcpy(w->data + opened - sizeof(length), &length, sizeof(length));
}

static void put_field(struct dbus_writer *w, enum field field, const char *type, const char *text)
{
	unsigned char code = (unsigned char)field;

	dbus_align(w, 8);
	put(w, &code, 1);
	dbus_put_signature(w, type);
	if (*type == 'g')
		dbus_put_signature(w, text);
	else
		dbus_put_string(w, text);
}

void dbus_put_call(struct dbus_writer *w, const struct dbus_call *call)
{
	const unsigned char head[4] = { native_order(), DBUS_CALL, 0, PROTOCOL };
	size_t fields;

	put(w, head, sizeof(head));
	dbus_put_u32(w, (__u32)call->body->length);
	dbus_put_u32(w, call->serial);
	fields = dbus_open_array(w, 8);
	put_field(w, FIELD_PATH, "o", call->path);
	put_field(w, FIELD_DESTINATION, "s", call->destination);
	put_field(w, FIELD_INTERFACE, "s", call->interface);
	put_field(w, FIELD_MEMBER, "s", call->member);
	if (*call->signature)
		put_field(w, FIELD_SIGNATURE, "g", call->signature);
	dbus_close_array(w, fields, 8);
	dbus_align(w, 8);
	put(w, call->body->data, call->body->length);
	w->full |= call->body->full;
}

/* ---- taking apart ---- */

static int skip_to(struct dbus_reader *r, size_t alignment)
{
	size_t padding = (alignment - r->at % alignment) % alignment;

	if (padding > r->length - r->at)
		return -EBADMSG;
	r->at += padding;
	return 0;
}

int dbus_get_u32(struct dbus_reader *r, __u32 *ret)
{
	if (skip_to(r, 4) || r->length - r->at < 4)
		return -EBADMSG;
	memcpy(ret, r->data + r->at, 4);
	r->at += 4;
	return 0;
}

static int get_text(struct dbus_reader *r, size_t length, const char **ret)
{
	const char *text = (const char *)r->data + r->at;

	if (length >= r->length - r->at || strnlen(text, length + 1) != length)
		return -EBADMSG;
	*ret = text;
	r->at += length + 1;
	return 0;
}

int dbus_get_string(struct dbus_reader *r, const char **ret)
{
	__u32 length;

	if (dbus_get_u32(r, &length))
		return -EBADMSG;
	return get_text(r, length, ret);
}

static int get_byte(struct dbus_reader *r, __u8 *ret)
{
	if (r->at >= r->length)
		return -EBADMSG;
	*ret = r->data[r->at++];
	return 0;
}

int dbus_get_signature(struct dbus_reader *r, const char **ret)
{
	__u8 length;

	return get_byte(r, &length) ? -EBADMSG : get_text(r, length, ret);
}

/* A field of the header has one of four types; another one is none. */
static int get_field(struct dbus_reader *r, struct dbus_message *m)
{
	const char *type, *text = "";
	__u32 number = 0;
	__u8 code;

	if (skip_to(r, 8) || get_byte(r, &code) || dbus_get_signature(r, &type))
		return -EBADMSG;
	if (streq(type, "u") ? dbus_get_u32(r, &number) :
	    streq(type, "g") ? dbus_get_signature(r, &text) :
	    streq(type, "s") || streq(type, "o") ? dbus_get_string(r, &text) : -EBADMSG)
		return -EBADMSG;
	if (code == FIELD_REPLY_SERIAL)
		m->reply_to = number;
	if (code == FIELD_MEMBER)
		m->member = text;
	if (code == FIELD_SIGNATURE)
		m->signature = text;
	return 0;
}

static __u32 u32_at(const unsigned char *data)
{
	__u32 value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static size_t body_at(const unsigned char head[DBUS_HEAD])
{
	return ((size_t)DBUS_HEAD + u32_at(head + FIELDS_AT) + 7) / 8 * 8;
}

size_t dbus_message_length(const unsigned char head[DBUS_HEAD])
{
	if (head[0] != native_order() || head[3] != PROTOCOL || u32_at(head + 4) > DBUS_MAX ||
	    u32_at(head + FIELDS_AT) > DBUS_MAX)
		return 0;
	return body_at(head) + u32_at(head + 4);
}

int dbus_parse(const unsigned char *data, size_t length, struct dbus_message *ret)
{
	struct dbus_message m = { .member = "", .signature = "" };
	struct dbus_reader r = { .data = data, .at = DBUS_HEAD };

	if (length < DBUS_HEAD || dbus_message_length(data) != length)
		return -EBADMSG;
	r.length = DBUS_HEAD + u32_at(data + FIELDS_AT);
	m.type = data[1];
	while (r.at < r.length) {
		if (get_field(&r, &m))
			return -EBADMSG;
	}
	m.body = data + body_at(data);
	m.body_length = u32_at(data + 4);
	*ret = m;
	return 0;
}
