/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packet vectors: text -> struct vector. A vector is one packet, what the hook would know of it,
 * and the verdict and reason each plane must give. Written by tests/vectors/generate; the format is
 * described there. Judges nothing.
 */
#ifndef TESTS_VECTOR_H
#define TESTS_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <tunfence/decide.h>
#include <tunfence/seam.h>

#include "err.h"

#define VECTOR_DIRECTORY "tests/vectors"
#define VECTOR_NAME_LEN 64
#define VECTOR_TRUE (~0U) /* where the parser finds it */

/* Whom an Ethernet frame is to. */
enum vector_host {
	VECTOR_THIS_HOST = 0,
	VECTOR_OTHER_HOST,
	VECTOR_MANY_HOSTS, /* a multicast address that no bridge forwards */
};

/* What tunfence asks the bootstrap name server, from port VECTOR_ASKS_FROM. */
enum vector_question {
	VECTOR_NO_QUESTION = 0,
	VECTOR_OWN,   /* asked with the packet's socket */
	VECTOR_OTHER, /* with another */
	VECTOR_OVER,  /* with its own, but the time is over */
	VECTOR_FAR,   /* or further away than any may be */
};

#define VECTOR_ASKS_FROM 40000

struct vector {
	char name[VECTOR_NAME_LEN];
	char policy[VECTOR_NAME_LEN]; /* policies/NAME.conf */
	char after[VECTOR_NAME_LEN];  /* of the vector that is judged just before; empty: none */
	char device[TF_NAME_LEN];
	bool plane[TF_PLANES];        /* which are to judge it */
	struct tf_decision expect[TF_PLANES];
	__u32 mark;
	__u32 gso_size;
	__u32 forwarded;     /* ifindex it came in by */
	enum tf_owner owner;
	struct tf_offload offload; /* VECTOR_TRUE, or what they are not */
	bool shared;         /* its sender can still change it */
	bool outside;        /* its socket is not of the scope's cgroup */
	bool exempt;         /* its socket, or the one it arrives for, is of an exempt program */
	bool foreign;        /* its device is in another network namespace */
	bool tagged;         /* had a VLAN tag, which is no longer in the bytes */
	enum vector_question question;
	enum vector_host host; /* of what arrives, if the bytes do not say */
	bool framed;         /* bytes begin with a link header of their own */
	__u8 *bytes;
	__u32 length;
};

struct vectors {
	struct vector *items;
	size_t count;
};

/* All of directory's *.vec, sorted by file name. Errors are "FILE:LINE: ...". */
int vectors_read(const char *directory, struct vectors *ret, struct err *e);
void vectors_free(struct vectors *v); /* what it points to, not v itself */

const struct vector *vectors_find(const struct vectors *v, const char *name);

/* As a stanza that can be put into a .vec file. */
void vector_print(FILE *to, const struct vector *v);

#endif
