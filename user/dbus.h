/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages of the D-Bus protocol, as bytes: written, and taken apart. No more of it than calls to
 * one peer need (https://dbus.freedesktop.org/doc/dbus-specification.html). No I/O: libsystemd
 * would do it too, and bring compression and cryptography into a process that runs as root.
 */
#ifndef TUNFENCE_DBUS_H
#define TUNFENCE_DBUS_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

enum dbus_type {
	DBUS_CALL = 1,
	DBUS_RETURN = 2,
	DBUS_ERROR = 3,
	DBUS_SIGNAL = 4,
};

#define DBUS_HEAD 16 /* bytes that tell how long a message is */
#define DBUS_MAX (1 << 20)

/* Bytes to send. What does not fit is not written, and the whole is full. */
struct dbus_writer {
	size_t length;
	bool full;
	unsigned char data[4096];
};

void dbus_put_u32(struct dbus_writer *w, __u32 value);
void dbus_put_string(struct dbus_writer *w, const char *text); /* also an object path */
void dbus_put_signature(struct dbus_writer *w, const char *text);
void dbus_align(struct dbus_writer *w, size_t bytes);

/* An array: what stands between, whose elements are aligned to so many bytes. */
size_t dbus_open_array(struct dbus_writer *w, size_t alignment);
void dbus_close_array(struct dbus_writer *w, size_t opened, size_t alignment);

/* A method call. body: its arguments, written from their beginning. */
struct dbus_call {
	__u32 serial;
	const char *destination, *path, *interface, *member, *signature;
	const struct dbus_writer *body;
};

void dbus_put_call(struct dbus_writer *w, const struct dbus_call *call);

/* What came. Texts point into the message. */
struct dbus_message {
	__u8 type;
	__u32 reply_to;         /* 0: of no call */
	const char *member;     /* "" : none */
	const char *signature;  /* of the body */
	const unsigned char *body;
	size_t body_length;
};

/* The length of the whole message, from its first DBUS_HEAD bytes. 0: it is none, is in the other
 * byte order or too long. */
size_t dbus_message_length(const unsigned char head[DBUS_HEAD]);

/* 0, or -EBADMSG. */
int dbus_parse(const unsigned char *data, size_t length, struct dbus_message *ret);

/* Takes arguments apart, in their order. -EBADMSG: there is no such one at this place. */
struct dbus_reader {
	const unsigned char *data;
	size_t length, at;
};

int dbus_get_u32(struct dbus_reader *r, __u32 *ret);
int dbus_get_string(struct dbus_reader *r, const char **ret); /* also an object path */
int dbus_get_signature(struct dbus_reader *r, const char **ret); /* of a variant: its value is next */

#endif
